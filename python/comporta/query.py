"""What was counted: rows of a metric, merged over partitions and shown as results."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import groupby
from typing import Any, TypedDict

from comporta.definition import Definition
from comporta.errors import UsageError
from comporta.generations import check_meaning
from comporta.metrics import from_definition
from comporta.metrics.contract import Metric, MetricDefinition
from comporta.sinks import Sink, current_generation

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
RANKS = {type(None): 0, bool: 1, int: 2, float: 2, str: 3}  # the order of values of different types


class Answer(TypedDict):
    """One bucket of one group. `start` and `end` are ISO 8601 UTC, None for a metric without `every`."""

    metric: str
    start: str | None
    end: str | None
    group: dict[str, Any]
    value: Any


def query(
    definition: Definition,
    sink: Sink,
    metric: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    by: Sequence[str] | None = None,
) -> Iterator[Answer]:
    """The metric's results as far as they have taken effect, by start and group.

    `definition` is the pipeline's. Buckets start at or after `since` and before `until`; `by` groups by fewer
    fields than the metric does. Raises `UsageError` for a metric or a field that is not there, `StoreError`
    for a pipeline that has never run, `DefinitionError` for a metric that was counted with another meaning.
    """
    generation = current_generation(sink, definition.name)
    known = find(definition, metric)
    for counted in generation.definition.metrics + generation.retired:
        if counted["name"] == metric:
            check_meaning(known, counted, definition.file)
    meant = from_definition(known)
    fields = meant.by if by is None else tuple(dict.fromkeys(by))
    if missing := [field for field in fields if field not in meant.by]:
        grouped = ", ".join(meant.by) or "nothing"
        raise UsageError(f"{metric!r} is not grouped by {missing[0]!r}, but by {grouped}")
    rows = sink.rows(generation.id, metric, _seconds(since), _seconds(until))
    return _answers(meant, fields, rows)


def find(definition: Definition, metric: str) -> MetricDefinition:
    """The definition of the metric of that name. Raises `UsageError`, naming those that there are."""
    for known in definition.metrics:
        if known["name"] == metric:
            return known
    names = ", ".join(known["name"] for known in definition.metrics)
    raise UsageError(f"{definition.file} has no metric {metric!r}; it has {names}")


def _answers(
    metric: Metric[Any], fields: Sequence[str], rows: Iterable[tuple[int, str, Any]]
) -> Iterator[Answer]:
    chosen = [metric.by.index(field) for field in fields]
    for bucket, in_bucket in groupby(rows, key=lambda row: row[0]):
        states: dict[str, Any] = {}
        for _, key, packed in in_bucket:
            values = json.loads(key)
            group = json.dumps([values[index] for index in chosen])
            state = metric.unpack(packed)
            states[group] = metric.merge(states[group], state) if group in states else state
        start, end = _bounds(bucket, metric.every)
        for values in sorted(map(json.loads, states), key=_rank):
            yield Answer(
                metric=metric.name,
                start=start,
                end=end,
                group=dict(zip(fields, values, strict=True)),
                value=metric.value(states[json.dumps(values)]),
            )


def _rank(values: Sequence[Any]) -> list[tuple[int, Any]]:
    return [(RANKS[type(value)], value or 0 if RANKS[type(value)] < 3 else value) for value in values]


def _bounds(bucket: int, every: int | None) -> tuple[str | None, str | None]:
    if every is None:
        return None, None
    return _iso(bucket), _iso(bucket + every)


def _iso(seconds: int) -> str:
    return (EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else math.ceil((time - EPOCH).total_seconds())
