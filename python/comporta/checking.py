"""Checking: the values that a transform's rows have, in the form in which they are grouped and summed up.

One value that cannot be used makes a dead letter of the record that the row is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from comporta.definition import Pipeline
from comporta.event_time import TimeReader
from comporta.groups import Grouping, key_text, number
from comporta.kept import row_texts
from comporta.metrics.contract import Takes
from comporta.records import Decoded, Failure
from comporta.rows import Rows
from comporta.scalars import clean
from comporta.values import Bad, number_column, text_column

TIME = "time"


@dataclass(frozen=True)
class Checked:
    """Rows as columns. What stands in a row whose record has failed means nothing.

    `times` are milliseconds since 1970; `texts` are canonical, `numbers` finite, by field. `keys` are groups
    by the fields of a key; the identity of a group is its key. `kept` is what is kept of each row, as text,
    and empty where nothing is.
    """

    times: Sequence[int | None]
    texts: dict[str, list[str]]
    numbers: dict[str, Sequence[int | float | None]]
    keys: dict[tuple[str, ...], Grouping]
    kept: list[str]


class Checker:
    """Checks what a pipeline uses of rows: the `fields`."""

    def __init__(self, pipeline: Pipeline) -> None:
        metrics = pipeline.metrics
        self._times = TimeReader(pipeline.time_format)
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
        times: Sequence[int | None] = self._times.column(columns[TIME], _bad(rows, None))
        if None in times:
            times = self._recorded_times(times, decoded, rows)
        texts = {field: text_column(columns[field], _bad(rows, field)) for field in self._texts}
        for of, longest in self._limits:
            if of is not None and longest is not None:
                _limit(texts[of], longest, _bad(rows, of))
        numbers = {field: number_column(columns[field], _bad(rows, field)) for field in self._numbers}
        keys = {by: _keys([texts[field] for field in by], rows) for by in self._keys}
        kept = (
            row_texts({field: texts[field] for field in self._kept}, _bad(rows, None)) if self._kept else []
        )
        return Checked(times, texts, numbers, keys, kept)

    def _recorded_times(
        self, times: Sequence[int | None], decoded: Decoded, rows: Rows
    ) -> Sequence[int | None]:
        """Times, a row without one having that of its record."""
        timestamps = decoded.timestamps
        filled = [
            timestamps[record] if time is None else time
            for time, record in zip(times, rows.records, strict=True)
        ]
        if None in filled and self._timed is not None:
            why = (
                "a row without `time`, of a record without a timestamp (lines of a file have none): the"
                f" metric {self._timed.name!r} has every=, so return a `time`"
            )
            bad = _bad(rows, None)
            for row, time in enumerate(filled):
                if time is None:
                    bad(row, why)
        return filled


def _fields(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name is not None))


def _bad(rows: Rows, field: str | None) -> Bad:
    """What to tell of a row whose field cannot be used. The first reason stands."""

    def bad(row: int, why: str) -> None:
        error = why if field is None else f"{field}: {why}"
        rows.failures.setdefault(rows.records[row], Failure("value", clean(error)))

    return bad


def _limit(texts: Sequence[str], longest: int, bad: Bad) -> None:
    long = {text for text in set(texts) if len(text.encode()) > longest}
    if long:
        for row, text in enumerate(texts):
            if text in long:
                bad(row, f"a value of more than {longest:,} bytes; shorten it")


def _keys(columns: Sequence[Sequence[str]], rows: Rows) -> Grouping:
    """Rows by key."""
    if not columns:
        return Grouping([0] * len(rows.records), [key_text(())])
    groups = number(zip(*columns, strict=True))
    keys: list[str] = []
    long: set[int] = set()
    for texts in groups.identities:
        try:
            keys.append(key_text(texts))
        except ValueError as error:
            long.add(len(keys))
            keys.append(str(error))
    if long:
        bad = _bad(rows, None)
        for row, group in enumerate(groups.indexes):
            if group in long:
                bad(row, keys[group])
    return Grouping(groups.indexes, keys)
