"""Pipelines: what a FILE.py defines, checked as it is loaded, and as JSON for other processes."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, TypedDict, TypeVar

from comporta import options
from comporta.errors import DefinitionError
from comporta.metrics.contract import Metric, MetricDefinition
from comporta.options import invalid
from comporta.transform import BatchTransform, RecordTransform, Transform

Function = TypeVar("Function", bound=Callable[..., Any])


class DedupDefinition(TypedDict, total=False):
    """Where event ids are: in a `field` of a row, or in a `header` of a record. `within` is in seconds."""

    field: str
    header: str
    within: int


@dataclass(frozen=True)
class Definition:
    """A pipeline without its code: what every process of it must agree on. Durations are in seconds.

    `rows` are the fields that are kept of each counted row.
    """

    name: str
    file: str
    time_format: str | None
    dedup: DedupDefinition | None
    ordered_by: str | None
    late: int | None
    retention: int | None
    metrics: list[MetricDefinition]
    rows: list[str] = field(default_factory=list)  # stored definitions of an earlier time have none

    def to_json(self) -> str:
        """The definition as a JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Definition:
        """The definition that `to_json` wrote."""
        return cls(**json.loads(text))

    def hash(self) -> str:
        """A hash of what the definition means; where its file lies is no part of that."""
        meaning = {**asdict(self), "file": None}
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ById:
    """How a pipeline finds the id of an event; `by_id` makes it."""

    field: str | None
    header: str | None
    within: int

    def definition(self) -> DedupDefinition:
        """The same as the pipeline's definition holds it."""
        if self.field is not None:
            return {"field": self.field, "within": self.within}
        return {"header": self.header or "", "within": self.within}


def by_id(field: str | None = None, *, header: str | None = None, within: str = "24h") -> ById:
    """Count an event once, whatever number of times it was sent, by an id that it carries.

    `field` names a field of what the transform returns, `header` a header of the record; one of them is
    given. `within` is how long an id is remembered since it was first seen ("30s", "5m", "24h", "7d"). Rows
    without an id are counted each. Raises `DefinitionError` for what is not valid.
    """
    if (field is None) == (header is None):
        raise invalid(
            'by_id needs a field or a header; write by_id("request_id") or by_id(header="request-id")'
        )
    seconds = options.duration(within, "within")
    if field is not None:
        return ById(options.field(field, "field"), None, seconds)
    return ById(None, options.field(header, "header"), seconds)


class Pipeline:
    """What is counted of the records of a source, by a transform that the user writes.

    `name` is what the pipeline's results are kept under. `metrics` are those of `count`, `sum`, `min`, `max`,
    `mean`, `distinct`, `quantiles` and `top`, at least one. `time_format` is how the text of a row's `time`
    is written, as `datetime.strptime` has it (default: ISO 8601). `dedup` is a `by_id`.
    `ordered_by="partition"` runs a partition's records in order, for a transform that keeps state between
    them. Rows older than `late` when they arrive are dropped and counted (default: none are). Results are
    kept for `retention` (default: for ever).

    `rows` names fields that are kept of each counted row, beside what is counted (default: none are). Each
    row is kept exactly once, at the position of its record, and `comporta rows` shows it. Values are as in
    `by`: text, numbers, booleans, null; datetimes become ISO 8601 text in UTC, bytes must be UTF-8.

    Raises `DefinitionError`, with file and line, for what is not valid.
    """

    def __init__(
        self,
        name: str,
        *,
        metrics: Iterable[Metric[Any]],
        time_format: str | None = None,
        dedup: ById | None = None,
        ordered_by: Literal["partition"] | None = None,
        late: str | None = None,
        retention: str | None = None,
        rows: str | Iterable[str] | None = None,
    ) -> None:
        self.name = options.name(name, "a pipeline")
        self.metrics = _metrics(metrics)
        self.time_format = None if time_format is None else _time_format(time_format)
        if dedup is not None and not isinstance(dedup, ById):
            raise invalid(f'dedup={dedup!r} is no way to find ids; write dedup=comporta.by_id("request_id")')
        self.dedup = dedup
        if ordered_by not in (None, "partition"):
            raise invalid(
                f'ordered_by={ordered_by!r} cannot be; write ordered_by="partition", or leave it out'
            )
        self.ordered_by = ordered_by
        self.late = None if late is None else options.duration(late, "late")
        self.retention = None if retention is None else options.duration(retention, "retention")
        self.rows = () if rows is None else _rows(rows)
        self.file, self.line = options.caller()
        self.code = ""
        """A short hash of the file that defines it, as it was loaded; empty where none was."""
        self._transform: Transform | None = None

    def transform(self, function: Function) -> Function:
        """Make a function the pipeline's transform, of a record at a time; it stays an ordinary function.

        It gets the record's value (bytes; None for a Kafka record without one), and the `Record` too if it
        has a second parameter. It returns a dict, None to drop the record, or a list of dicts.
        """
        _check(function, "transform")
        try:
            self._use(RecordTransform(function))
        except TypeError:
            raise invalid(
                f"{_name(function)} cannot be a transform with these parameters; write def"
                f" {_name(function)}(value) or def {_name(function)}(value, record)"
            ) from None
        return function

    def transform_batch(self, function: Function) -> Function:
        """Make a function the pipeline's transform, of a batch at a time; it stays an ordinary function.

        It gets a `pyarrow.RecordBatch` and returns a pyarrow RecordBatch or Table, or a pandas or polars
        DataFrame, which carries the column `offset` or has as many rows as came in.
        """
        _check(function, "transform_batch")
        self._use(BatchTransform(function))
        return function

    def runner(self) -> Transform:
        """The transform. Raises `DefinitionError` if there is none."""
        if self._transform is None:
            raise DefinitionError(
                f"the pipeline {self.name!r} has no transform; put @pipeline.transform over a function",
                file=self.file,
                line=self.line,
            )
        return self._transform

    def definition(self) -> Definition:
        """The pipeline without its code."""
        return Definition(
            name=self.name,
            file=self.file,
            time_format=self.time_format,
            dedup=None if self.dedup is None else self.dedup.definition(),
            ordered_by=self.ordered_by,
            late=self.late,
            retention=self.retention,
            metrics=[metric.definition() for metric in self.metrics],
            rows=list(self.rows),
        )

    def __repr__(self) -> str:
        return f"<Pipeline {self.name!r}>"

    def _use(self, transform: Transform) -> None:
        if self._transform is not None:
            raise invalid(
                f"the pipeline {self.name!r} has two transforms, {self._transform.name} and"
                f" {transform.name}; keep one, or make another pipeline"
            )
        self._transform = transform


def _metrics(metrics: object) -> tuple[Metric[Any], ...]:
    if not isinstance(metrics, Iterable) or isinstance(metrics, (str, bytes)):
        raise invalid(
            f'metrics={metrics!r} is no list; write, for example, metrics=[comporta.count("requests")]'
        )
    found = tuple(metrics)
    if not found:
        raise invalid(
            'a pipeline without metrics counts nothing; write metrics=[comporta.count("requests")], say'
        )
    for metric in found:
        if not isinstance(metric, Metric):
            raise invalid(f'{metric!r} is no metric; write, for example, comporta.count("requests")')
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"two metrics are called {name!r}; give each a name of its own")
    return found


def _rows(value: object) -> tuple[str, ...]:
    fields = options.fields(value, "rows")
    if not fields:
        raise invalid(
            'rows=[] keeps nothing of a row; write, for example, rows=["time", "status"], or leave it out'
        )
    return fields


def _time_format(value: object) -> str:
    sample = datetime(2015, 5, 17, 10, 5, 3, tzinfo=timezone.utc)
    if not isinstance(value, str) or not value:
        raise invalid(
            f'time_format={value!r} is no format; write, for example, time_format="%d/%b/%Y:%H:%M:%S %z"'
        )
    try:
        read = datetime.strptime(sample.strftime(value), value)
    except ValueError as error:
        raise invalid(
            f"time_format={value!r} cannot be read: {error}; see datetime.strptime for what it may have"
        ) from None
    if read.date() != sample.date():
        raise invalid(
            f"time_format={value!r} has no whole date; it needs a year, a month and a day, such as %Y-%m-%d"
        )
    return value


def _check(function: object, decorator: str) -> None:
    if not callable(function):
        raise invalid(
            f"@pipeline.{decorator} stands over a function, and takes no arguments; this is {function!r}"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise invalid(f"{_name(function)} is asynchronous; write it with def, not with async def")
    if inspect.isgeneratorfunction(function):
        raise invalid(f"{_name(function)} is a generator; return a list instead of yielding")


def _name(function: object) -> str:
    return getattr(function, "__name__", repr(function))
