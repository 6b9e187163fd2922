"""What a number adds up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from comporta.metrics.contract import Metric, Takes
from comporta.metrics.numbers import WHOLE, Exact, Number, exact_sum, pack_number, unpack_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comporta.groups import Grouping


class Sum(Metric[Exact]):
    """Adds up the field `of`, exactly, at any size; a sum of floats is rounded once, when it is shown.

    Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The
    value is an int where the sum is whole, else a float.

        c.sum("bytes_sent", of="bytes", by=["path"], every="1m")
    """

    kind = "sum"
    takes = Takes.NUMBERS
    state_bytes = 88

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Grouping, values: NDArray[Any]) -> list[Exact]:
        return sums(groups, values)

    def merge(self, state: Exact, delta: Exact) -> Exact:
        return state.plus(delta)

    def pack(self, state: Exact) -> list[Number | str]:
        return [pack_number(state.numerator), state.scale]

    def unpack(self, packed: Any) -> Exact:
        numerator, scale = packed
        return Exact(int(unpack_number(numerator)), scale)

    def value(self, state: Exact) -> Number:
        return state.rounded()


def sums(groups: Grouping, values: NDArray[Any]) -> list[Exact]:
    """The exact sum of each group."""
    import numpy

    if len(values) and values.dtype != object and _add_up(values):
        totals = numpy.bincount(groups.indexes, values, len(groups.identities))
        return [Exact(total, 0) for total in totals.astype(numpy.int64).tolist()]
    return [exact_sum(numbers.tolist()) for numbers in groups.split(values)]


def _add_up(values: NDArray[Any]) -> bool:
    """Whether numbers are whole, and so small that any sum of them is exact in floats."""
    greatest = max(-values.min().item(), values.max().item())
    return greatest * len(values) <= WHOLE and (values.dtype.kind == "i" or bool((values % 1 == 0).all()))
