"""Cells: kept rows by bucket of time and key, and what each metric makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from comporta.checking import Checked
from comporta.groups import Grouping, number
from comporta.metrics.contract import Metric, Takes
from comporta.payloads import Columns
from comporta.values import NULL


@dataclass(frozen=True)
class Cells:
    """Rows, and their groups; what a group has in common is the start of its bucket (seconds) and its key."""

    rows: Sequence[int]
    groups: Grouping


def all_time(keys: Grouping, rows: Sequence[int]) -> Cells:
    """Rows by key, in the one bucket of a metric without `every`."""
    groups = keys.select(rows)
    return Cells(rows, Grouping(groups.indexes, [(0, key) for key in groups.identities]))


def bucketed(
    keys: Grouping, rows: Sequence[int], times: Sequence[int], every: int, horizon: int | None
) -> Cells:
    """Rows by bucket and key. `times` are theirs; `every` is in seconds.

    Rows whose bucket ended before `horizon`, in milliseconds since 1970, are left out.
    """
    width = every * 1000
    buckets = [time // width for time in times]
    if horizon is not None:
        first = -(-horizon // width) - 1  # of those that do not end before it
        rows = [row for row, bucket in zip(rows, buckets, strict=True) if bucket >= first]
        buckets = [bucket for bucket in buckets if bucket >= first]
    groups = number(zip(buckets, map(keys.indexes.__getitem__, rows), strict=True))
    identities = [(bucket * every, keys.identities[group]) for bucket, group in groups.identities]
    return Cells(rows, Grouping(groups.indexes, identities))


def deltas(metric: Metric[Any], cells: Cells, checked: Checked) -> Columns:
    """What a metric makes of the rows in each cell, those that have no value left out."""
    groups = cells.groups
    values: Sequence[Any] = cells.rows
    if metric.of is not None:
        is_text = metric.takes is Takes.TEXTS
        column: Sequence[Any] = checked.texts[metric.of] if is_text else checked.numbers[metric.of]
        null = NULL if is_text else None
        values = [column[row] for row in cells.rows]
        if null in values:
            present = [index for index, value in enumerate(values) if value != null]
            groups = groups.select(present)
            values = [values[index] for index in present]
    states = metric.batch(groups.indexes, values, len(groups.identities))
    return {
        "buckets": [bucket for bucket, _ in groups.identities],
        "keys": [key for _, key in groups.identities],
        "deltas": [metric.pack(state) for state in states],
    }
