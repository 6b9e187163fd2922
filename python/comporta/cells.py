"""Cells: kept rows by bucket of time and key, and what each metric makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from comporta.checking import Checked
from comporta.groups import Grouping, Indexes, number_integers
from comporta.metrics.contract import Metric, Takes
from comporta.payloads import Columns
from comporta.values import NULL


@dataclass(frozen=True)
class Cells:
    """Rows, and their groups, one bucket after another.

    A group is identified by a number, an index into `keys` and `buckets`, the start of its bucket in seconds.
    """

    rows: Indexes
    groups: Grouping
    buckets: NDArray[numpy.int64]
    keys: list[str]


def all_time(keys: Grouping, rows: Indexes) -> Cells:
    """Rows by key, in the one bucket of a metric without `every`."""
    groups = keys.select(rows)
    return _cells(rows, groups.indexes, numpy.zeros(len(groups.identities), numpy.int64), groups.identities)


def bucketed(
    keys: Grouping, rows: Indexes, times: NDArray[numpy.int64], every: int, horizon: int | None
) -> Cells:
    """Rows by bucket and key. `times` are theirs; `every` is in seconds.

    Rows whose bucket ended before `horizon`, in milliseconds since 1970, are left out.
    """
    width = every * 1000
    numbers = times // width
    if horizon is not None:
        timely = numbers >= -(-horizon // width) - 1  # the first that does not end before it
        rows, numbers = rows[timely], numbers[timely]
    buckets, groups = number_integers(numbers), keys.select(rows)
    indexes, bucket, key = buckets.crossed(groups)
    starts = numpy.array(buckets.identities, numpy.int64) * every
    return _cells(rows, indexes, starts[bucket], list(map(groups.identities.__getitem__, key.tolist())))


def _cells(rows: Indexes, indexes: Indexes, buckets: NDArray[numpy.int64], keys: list[str]) -> Cells:
    return Cells(rows, Grouping(indexes, list(range(len(keys)))), buckets, keys)


def deltas(metric: Metric[Any], cells: Cells, checked: Checked) -> Columns:
    """What a metric makes of the rows in each cell, those that have no value left out."""
    groups, values = _taken(metric, cells, checked)
    states = metric.batch(groups, values)
    buckets, keys = cells.buckets, cells.keys
    if len(groups.identities) < len(keys):
        buckets, keys = buckets[groups.identities], [keys[group] for group in groups.identities]
    return {"buckets": _runs(buckets), "keys": keys, "deltas": metric.pack_all(states)}


def _runs(values: NDArray[numpy.int64]) -> list[tuple[int, int]]:
    """Each value that is another than the one before, and how often it follows on itself."""
    if not len(values):
        return []
    begins = numpy.flatnonzero(numpy.concatenate(([True], values[1:] != values[:-1])))
    counts = numpy.diff(numpy.append(begins, len(values)))
    return list(zip(values[begins].tolist(), counts.tolist(), strict=True))


def _taken(metric: Metric[Any], cells: Cells, checked: Checked) -> tuple[Grouping, Any]:
    """The rows that have what a metric takes, and that."""
    groups, rows, field = cells.groups, cells.rows, metric.of or ""
    if metric.takes is Takes.NOTHING:
        return groups, None
    if metric.takes is Takes.NUMBERS:
        values, present = checked.numbers[field]
        there = None if present is None else present[rows]
        if there is not None:
            groups, rows = groups.select(numpy.flatnonzero(there)), rows[there]
        return groups, values[rows]
    texts = checked.texts[field]
    if NULL in texts.identities:
        there = texts.indexes[rows] != texts.identities.index(NULL)
        groups, rows = groups.select(numpy.flatnonzero(there)), rows[there]
    return groups, texts.select(rows)
