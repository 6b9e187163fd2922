"""What a number adds up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from comporta.metrics.contract import Metric, Takes, split
from comporta.metrics.numbers import Exact, Number, exact_sum, pack_number, unpack_number


class Sum(Metric[Exact]):
    """Adds up the field `of`, exactly, at any size; a sum of floats is rounded once, when it is shown.

    Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The
    value is an int where the sum is whole, else a float.

        c.sum("bytes_sent", of="bytes", by=["path"], every="1m")
    """

    kind = "sum"
    takes = Takes.NUMBERS

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Sequence[int], values: Sequence[Any], count: int) -> list[Exact]:
        return sums(groups, values, count)

    def merge(self, state: Exact, delta: Exact) -> Exact:
        return state.plus(delta)

    def pack(self, state: Exact) -> list[Number | str]:
        return [pack_number(state.numerator), state.scale]

    def unpack(self, packed: Any) -> Exact:
        numerator, scale = packed
        return Exact(int(unpack_number(numerator)), scale)

    def value(self, state: Exact) -> Number:
        return state.rounded()


def sums(groups: Sequence[int], values: Sequence[Number], count: int) -> list[Exact]:
    """The exact sum of each group."""
    if set(map(type, values)) <= {int}:
        totals = [0] * count
        for group, value in zip(groups, values, strict=True):
            totals[group] += value  # type: ignore[assignment]
        return [Exact(total, 0) for total in totals]
    return [exact_sum(numbers) for numbers in split(groups, values, count)]
