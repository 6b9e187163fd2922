"""For tests and notebooks: a pipeline run over a few records, in this process and without any service.

    def test_errors_are_counted():
        run = comporta.testing.run("access.py", ["10.0.0.1 500", "10.0.0.2 200"])
        assert run.values("requests") == {(None, 500): 1, (None, 200): 1}

The first part of a group is the start of its bucket, None where the metric has no `every`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from comporta.definition import Pipeline
from comporta.event_time import to_datetime
from comporta.loading import load
from comporta.payloads import Claim, Letter, SourceRecord, by_bucket, pack, unpack
from comporta.records import Batch

if TYPE_CHECKING:
    from comporta.computation import Computation, Outcome

Group = tuple[Any, ...]
"""The start of a bucket (a `datetime` in UTC, None for a metric without `every`), then the values of `by`."""


@dataclass(frozen=True)
class Run:
    """What a pipeline made of records. `outcome` has `counted`, `dropped`, `duplicates` and `dead`."""

    pipeline: Pipeline
    outcome: Outcome

    @property
    def letters(self) -> list[Letter]:
        """The dead letters, each with its `offset` (which of the records it was), `error` and `traceback`."""
        return self.outcome.result["letters"]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is kept of counted rows, in their order; empty where the pipeline has no `rows`."""
        output = self.outcome.result["output"]
        return [] if output is None else [json.loads(row) for row in unpack(output)["rows"]]

    def values(self, name: str) -> dict[Group, Any]:
        """A metric's values by group. Raises `KeyError` if the pipeline has no metric of that name.

        As keys of a dict, the groups of True and of 1 are one, which the command tells apart.
        """
        columns = self.outcome.result["metrics"][name]
        metric = next(metric for metric in self.pipeline.metrics if metric.name == name)
        return {
            (_start(bucket, metric.every), *json.loads(key)): metric.value(metric.unpack(delta))
            for bucket, keys, deltas in by_bucket(columns)
            for key, delta in zip(keys, deltas, strict=True)
        }


def run(pipeline: Pipeline | str, values: Iterable[bytes | str | None]) -> Run:
    """Run a pipeline, or that of a file, over the values of records, in one batch; text is encoded as UTF-8.

    Raises `DefinitionError` if the file or the pipeline is not valid. What the transform raises makes dead
    letters.
    """
    if isinstance(pipeline, str):
        pipeline = load(pipeline)
    records = [_record(offset, value) for offset, value in enumerate(values)]
    now = int(time.time() * 1000)
    batch = Batch("records", "test", "test", base=0, first=0, next=len(records), arrival_ms=now)
    computation = _computation(pipeline)
    return Run(pipeline, computation.run(computation.decode(batch, pack(records)), _claim))


def dead_letter(
    pipeline: Pipeline | str,
    id: str,
    *,
    store: str | None = None,
    source: str | None = None,
    dead: str | None = None,
) -> Letter:
    """A dead letter of a pipeline, or of that of a file, by the id that `comporta dead list` shows.

    `store`, `source` and `dead` are URLs, as the command takes them. Raises `ComportaError` where it is not
    to be had.
    """
    from comporta import dead as letters
    from comporta.sinks import open_sink

    if isinstance(pipeline, str):
        pipeline = load(pipeline)
    url = store or f"sqlite:.comporta/{pipeline.name}.db"
    sink = open_sink(url, create=False)
    try:
        return letters.find(letters.open_dead(pipeline, sink, url, source, dead).store, id)
    finally:
        sink.close()


def rerun(pipeline: Pipeline | str, letter: Letter) -> Run:
    """Run a pipeline, or that of a file, over a dead letter's record, with its key, headers and position.

    Where it fails again, there is one letter, of the next attempt. Raises `UsageError` for a letter that does
    not hold its whole record.
    """
    from comporta import dead as letters

    if isinstance(pipeline, str):
        pipeline = load(pipeline)
    return Run(pipeline, _computation(pipeline).run(letters.decoded(letter), _claim))


def _computation(pipeline: Pipeline) -> Computation:
    from comporta.computation import Computation  # it brings numpy, which costs 0.1 s

    return Computation(pipeline)


def _record(offset: int, value: bytes | str | None) -> SourceRecord:
    return {
        "offset": offset,
        "value": value.encode() if isinstance(value, str) else value,
        "key": None,
        "timestamp": None,
        "headers": [],
        "partition": "test",
        "shown": "test",
        "source_offset": offset,
    }


def _claim(claims: list[Claim]) -> bytes:
    first: dict[bytes, tuple[str, int]] = {}
    return bytes(
        first.setdefault(id, (partition, offset)) == (partition, offset) for id, partition, offset in claims
    )


def _start(bucket: int, every: int | None) -> datetime | None:
    return None if every is None else to_datetime(bucket * 1000)
