"""Checking: the values that a transform's rows have, in the form in which they are grouped and summed up.

One value that cannot be used makes a dead letter of the record that the row is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from comporta.columns import NO_TIME, Bad, Numbers, number_column, tell, text_column
from comporta.definition import Pipeline
from comporta.groups import Grouping, keyed, too_long
from comporta.kept import row_texts
from comporta.metrics.contract import Takes
from comporta.records import Decoded, Failure
from comporta.rows import Rows
from comporta.scalars import clean
from comporta.times import Times

TIME = "time"


@dataclass(frozen=True)
class Checked:
    """Rows as columns. What stands in a row whose record has failed means nothing.

    `times` are milliseconds since 1970, or `NO_TIME`. By field, `texts` are groups by canonical text, and
    `numbers` are finite. `keys` are groups by the fields of a key; the identity of a group is its key. `kept`
    is what is kept of each row, as text, and empty where nothing is.
    """

    times: NDArray[numpy.int64]
    texts: dict[str, Grouping]
    numbers: dict[str, Numbers]
    keys: dict[tuple[str, ...], Grouping]
    kept: list[str]


class Checker:
    """Checks what a pipeline uses of rows: the `fields`."""

    def __init__(self, pipeline: Pipeline) -> None:
        metrics = pipeline.metrics
        self._times = Times(pipeline.time_format)
        self._timed = next((metric for metric in metrics if metric.every is not None), None)
        self._keys = list(dict.fromkeys(metric.by for metric in metrics))
        self._numbers = _fields(metric.of for metric in metrics if metric.takes is Takes.NUMBERS)
        self._limits = [(metric.of, metric.longest) for metric in metrics if metric.takes is Takes.TEXTS]
        grouped = [field for by in self._keys for field in by]
        ids = [pipeline.dedup.field] if pipeline.dedup else []
        self._kept = pipeline.rows
        self._texts = _fields([*grouped, *(of for of, _ in self._limits), *ids, *self._kept])
        self.fields = _fields([TIME, *self._texts, *self._numbers])

    def check(self, decoded: Decoded, rows: Rows) -> Checked:
        """The rows' values. Adds to `rows.failures` the records of those that cannot be used."""
        columns = rows.columns
        times = self._times.column(columns[TIME], _bad(rows, None))
        if (times == NO_TIME).any():
            times = self._recorded_times(times, decoded, rows)
        texts = {field: text_column(columns[field], _bad(rows, field)) for field in self._texts}
        for of, longest in self._limits:
            if of is not None and longest is not None:
                _limit(texts[of], longest, _bad(rows, of))
        numbers = {field: number_column(columns[field], _bad(rows, field)) for field in self._numbers}
        keys = {by: _keys([texts[field] for field in by], rows) for by in self._keys}
        kept = (
            row_texts({field: texts[field].values() for field in self._kept}, _bad(rows, None))
            if self._kept
            else []
        )
        return Checked(times, texts, numbers, keys, kept)

    def _recorded_times(
        self, times: NDArray[numpy.int64], decoded: Decoded, rows: Rows
    ) -> NDArray[numpy.int64]:
        """Times, a row without one having that of its record."""
        filled = numpy.where(times == NO_TIME, recorded(decoded)[rows.records], times)
        missing = numpy.flatnonzero(filled == NO_TIME)
        if len(missing) and self._timed is not None:
            why = (
                "a row without `time`, of a record without a timestamp (lines of a file have none): the"
                f" metric {self._timed.name!r} has every=, so return a `time`"
            )
            bad = _bad(rows, None)
            for row in missing.tolist():
                bad(row, why)
        return filled


def recorded(decoded: Decoded) -> NDArray[numpy.int64]:
    """The timestamps of a batch's records, `NO_TIME` where one has none."""
    return numpy.array(
        [NO_TIME if timestamp is None else timestamp for timestamp in decoded.timestamps], numpy.int64
    )


def _fields(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))


def _bad(rows: Rows, field: str | None) -> Bad:
    """What to tell of a row whose field cannot be used. The first reason stands."""

    def bad(row: int, why: str) -> None:
        error = why if field is None else f"{field}: {why}"
        rows.failures.setdefault(int(rows.records[row]), Failure("value", clean(error)))

    return bad


def _limit(texts: Grouping, longest: int, bad: Bad) -> None:
    why = f"a value of more than {longest:,} bytes; shorten it"
    groups = enumerate(texts.identities)
    tell(bad, texts, {group: why for group, text in groups if len(text.encode()) > longest})


def _keys(columns: Sequence[Grouping], rows: Rows) -> Grouping:
    """Rows by key."""
    groups = keyed(columns, len(rows.records))
    tell(_bad(rows, None), groups, too_long(groups.identities))
    return groups
