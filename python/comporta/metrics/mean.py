"""What a number is on average."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from comporta.metrics.contract import Metric, Takes
from comporta.metrics.numbers import Exact, Number, pack_number, unpack_number
from comporta.metrics.sum import sums

Average = tuple[Exact, int]


class Mean(Metric[Average]):
    """The arithmetic mean of the field `of`: the exact sum by the exact count, rounded once when it is shown.

    Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The
    value is a number.

        c.mean("typical", of="ms")
    """

    kind = "mean"
    takes = Takes.NUMBERS

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Sequence[int], values: Sequence[Any], count: int) -> list[Average]:
        rows = Counter(groups)
        return [(total, rows[group]) for group, total in enumerate(sums(groups, values, count))]

    def merge(self, state: Average, delta: Average) -> Average:
        return state[0].plus(delta[0]), state[1] + delta[1]

    def pack(self, state: Average) -> list[Number | str]:
        total, count = state
        return [pack_number(total.numerator), total.scale, count]

    def unpack(self, packed: Any) -> Average:
        numerator, scale, count = packed
        return Exact(int(unpack_number(numerator)), scale), count

    def value(self, state: Average) -> Number:
        total, count = state
        return total.over(count)
