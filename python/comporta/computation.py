"""A batch's way from bytes to results: decoded, transformed, checked, claimed, and summed up by group.

A record ends as exactly one of: counted (at least one of its rows was kept), duplicate (all of its rows
were), dead letter (one bad value is enough; then none of its rows counts), or dropped (the transform said so,
or no row was kept).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from comporta.cells import Cells, all_time, bucketed, deltas
from comporta.checking import Checked, Checker, recorded
from comporta.columns import NO_TIME, values
from comporta.definition import Pipeline
from comporta.event_ids import Claims, fresh_rows
from comporta.formats import decode
from comporta.groups import Indexes
from comporta.kept import output_rows
from comporta.note import Note
from comporta.payloads import Result
from comporta.profile import microseconds_since
from comporta.records import Batch, Decoded, Tell
from comporta.rows import Rows
from comporta.transform import give_up

CellsBy = dict[tuple[tuple[str, ...], "int | None"], Cells]
"""The cells of the metrics that have this `by` and `every`."""


@dataclass(frozen=True)
class Outcome:
    """What a batch came to: `consumed` records, each of which ended in one of the four ways that follow.

    `transform_us` is how long the user's code took, in microseconds.
    """

    consumed: int
    counted: int
    dropped: int
    duplicates: int
    dead: int
    result: Result
    transform_us: int


class Computation:
    """Runs a pipeline's transform over batches, and sums up what it makes of them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._transform = pipeline.runner()
        self._checker = Checker(pipeline)
        self._unseen = _uses(pipeline)
        self._warnings: list[str] = []

    def decode(self, batch: Batch, payload: bytes | memoryview, tell: Tell | None = None) -> Decoded:
        """The records of a batch. Runs no user code. Raises `ValueError` on what is not of its format.

        What headers alone show is told first.
        """
        return decode(batch, payload, tell)

    @property
    def notes(self) -> bool:
        """Whether the transform's record can be noted before it is run."""
        return self._transform.notes

    def run(self, decoded: Decoded, claim: Claims, note: Note | None = None) -> Outcome:
        """Run the transform over a batch, calling `claim` at most once.

        In a careful attempt there is a `note` of the record that is being run.
        Raises `Hopeless` if, under probation, nothing succeeds.
        """
        began = time.perf_counter()
        rows = self._rows(decoded, note)
        transform_us = microseconds_since(began)
        checked = self._checker.check(decoded, rows)
        if decoded.batch.probation and len(rows.failures) == decoded.count:
            give_up(rows.failures)
        good = numpy.arange(len(rows.records))
        if rows.failures:
            good = good[~_marked(list(rows.failures), decoded.count)[rows.records]]
        fresh, without_id = good, 0
        if self._pipeline.dedup is not None:
            fresh, without_id = fresh_rows(self._pipeline.dedup, decoded, rows, checked, good, claim)
        timely = self._timely(decoded, rows, checked, fresh)
        cells = self._cells(decoded, checked, timely)
        kept, expired = _kept(timely, cells)
        counted = int(_marked(rows.records[kept], decoded.count).sum())
        duplicates = 0
        if len(fresh) < len(good):
            is_good, is_fresh = (_marked(rows.records[part], decoded.count) for part in (good, fresh))
            duplicates = int((is_good & ~is_fresh).sum())
        result: Result = {
            "metrics": {
                metric.name: deltas(metric, cells[metric.by, metric.every], checked)
                for metric in self._pipeline.metrics
            },
            "letters": decoded.letters(rows.failures, self._pipeline.code),
            "output": self._output(decoded, rows, checked, kept),
            "late": len(fresh) - len(timely),
            "expired": expired,
            "without_id": without_id,
        }
        return Outcome(
            consumed=decoded.count + decoded.undecodable,
            counted=counted,
            dropped=decoded.count - counted - duplicates - len(rows.failures),
            duplicates=duplicates,
            dead=len(rows.failures) + decoded.undecodable,
            result=result,
            transform_us=transform_us,
        )

    def warnings(self) -> list[str]:
        """What there is to say that was not said before."""
        said, self._warnings = self._warnings, []
        return said

    def _rows(self, decoded: Decoded, note: Note | None) -> Rows:
        fields = self._checker.fields
        if decoded.verdict is not None:
            failures = dict.fromkeys(range(decoded.count), decoded.verdict)
            nothing = numpy.zeros(0, numpy.intp)
            return Rows(records=nothing, columns={field: [] for field in fields}, names=[], failures=failures)
        rows = self._transform.run(decoded, fields, note)
        if self._unseen and len(rows.records):
            self._look_for_fields(rows)
        return rows

    def _look_for_fields(self, rows: Rows) -> None:
        """Warn, once, of fields that no row has had so far."""
        for field, use in self._unseen.items():
            if field not in rows.names and all(value is None for value in values(rows.columns[field])):
                seen = ", ".join(rows.names) or "none"
                self._warnings.append(
                    f"no row so far has the field {field!r}, which {use}; the fields seen: {seen}"
                )
        self._unseen = {}

    def _timely(self, decoded: Decoded, rows: Rows, checked: Checked, fresh: Indexes) -> Indexes:
        """The rows that are not too late."""
        if self._pipeline.late is None:
            return fresh
        limit = self._pipeline.late * 1000
        stamps = recorded(decoded)
        arrivals = numpy.where(stamps == NO_TIME, decoded.batch.arrival_ms, stamps)[rows.records[fresh]]
        times = checked.times[fresh]
        timely: Indexes = fresh[(times == NO_TIME) | (times >= arrivals - limit)]
        return timely

    def _cells(self, decoded: Decoded, checked: Checked, rows: Indexes) -> CellsBy:
        retention = self._pipeline.retention
        horizon = None if retention is None else decoded.batch.arrival_ms - retention * 1000
        times = checked.times[rows]
        cells: CellsBy = {}
        for metric in self._pipeline.metrics:
            if (metric.by, metric.every) not in cells:
                keys = checked.keys[metric.by]
                cells[metric.by, metric.every] = (
                    all_time(keys, rows)
                    if metric.every is None
                    else bucketed(keys, rows, times, metric.every, horizon)
                )
        return cells

    def _output(self, decoded: Decoded, rows: Rows, checked: Checked, kept: Indexes) -> bytes | None:
        """What is kept of those rows, with the times that their retention runs from, if there is one."""
        if not self._pipeline.rows or not len(kept):
            return None
        times = None
        if self._pipeline.retention is not None:
            found = checked.times[kept]
            times = (numpy.where(found == NO_TIME, decoded.batch.arrival_ms, found) // 1000).tolist()
        return output_rows(decoded, rows.records, checked.kept, kept, times)


def _kept(rows: Indexes, cells: CellsBy) -> tuple[Indexes, int]:
    """The rows that are in some cell, and how many are missing in some because their bucket has expired."""
    if all(len(part.rows) == len(rows) for part in cells.values()):
        return rows, 0
    found, times = numpy.unique(numpy.concatenate([part.rows for part in cells.values()]), return_counts=True)
    return found, len(rows) - int((times == len(cells)).sum())


def _marked(records: Sequence[int] | Indexes, count: int) -> NDArray[numpy.bool_]:
    """Of so many records, whether each is among these."""
    marks = numpy.zeros(count, numpy.bool_)
    marks[records] = True
    return marks


def _uses(pipeline: Pipeline) -> dict[str, str]:
    """What each field is for, in words."""
    uses: dict[str, str] = {}
    for metric in pipeline.metrics:
        for field in metric.by:
            uses.setdefault(field, f"the metric {metric.name!r} is grouped by")
        if metric.of is not None:
            uses.setdefault(metric.of, f"the metric {metric.name!r} is of")
    if pipeline.dedup and pipeline.dedup.field:
        uses.setdefault(pipeline.dedup.field, "is the event id")
    for field in pipeline.rows:
        uses.setdefault(field, "is kept of each row")
    return uses
