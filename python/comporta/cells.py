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
    """Rows, and their groups; what a group has in common is the start of its bucket (seconds) and its key."""

    rows: Indexes
    groups: Grouping


def all_time(keys: Grouping, rows: Indexes) -> Cells:
    """Rows by key, in the one bucket of a metric without `every`."""
    groups = keys.select(rows)
    return Cells(rows, Grouping(groups.indexes, [(0, key) for key in groups.identities]))


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
    pairs = buckets.pairs(groups)
    identities = [
        (buckets.identities[bucket] * every, groups.identities[key]) for bucket, key in pairs.identities
    ]
    return Cells(rows, Grouping(pairs.indexes, identities))


def deltas(metric: Metric[Any], cells: Cells, checked: Checked) -> Columns:
    """What a metric makes of the rows in each cell, those that have no value left out."""
    groups, values = _taken(metric, cells, checked)
    states = metric.batch(groups, values)
    return {
        "buckets": [bucket for bucket, _ in groups.identities],
        "keys": [key for _, key in groups.identities],
        "deltas": [metric.pack(state) for state in states],
    }


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
