"""What workers make of rows, from and to plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy

from comporta.columns import NO_TIME, Bad, Numbers, number_column, text_column, values
from comporta.groups import Grouping
from comporta.metrics.contract import Metric, Takes
from comporta.records import Failure
from comporta.rows import Rows
from comporta.times import Times


def refuse(index: int, why: str) -> None:
    raise AssertionError(f"{index}: {why}")


def states(metric: Metric[Any], groups: Sequence[int], found: list[Any]) -> list[Any]:
    """A metric's state of each of the groups 0, 1, ... of rows that have these values."""
    by_group = Grouping(numpy.array(groups, numpy.intp), list(range(max(groups) + 1)))
    taken: Any = None
    if metric.takes is Takes.NUMBERS:
        taken = number_column(found, refuse).values
    elif metric.takes is Takes.TEXTS:
        taken = text_column(found, refuse)
    return metric.batch(by_group, taken)


class Plain(NamedTuple):
    """Rows, in lists."""

    records: list[int]
    columns: dict[str, list[Any]]
    names: list[str]
    failures: dict[int, Failure]


def plain(rows: Rows) -> Plain:
    """Rows, in lists."""
    columns = {name: values(column) for name, column in rows.columns.items()}
    return Plain(rows.records.tolist(), columns, rows.names, rows.failures)


def numbers(column: list[Any], bad: Bad = refuse) -> list[Any]:
    """A column's numbers, None where there is none."""
    found: Numbers = number_column(column, bad)
    present = [True] * len(column) if found.present is None else found.present.tolist()
    return [value if there else None for value, there in zip(found.values.tolist(), present, strict=True)]


def times(reader: Times, column: list[Any], bad: Bad = refuse) -> list[int | None]:
    """A column's times, None where there is none."""
    return [None if time == NO_TIME else time for time in reader.column(column, bad).tolist()]
