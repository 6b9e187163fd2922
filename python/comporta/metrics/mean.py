"""What a number is on average."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from comporta.metrics.contract import Metric, Takes
from comporta.metrics.numbers import Exact, Number, pack_number, unpack_number
from comporta.metrics.sum import sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comporta.groups import Grouping

Average = tuple[Exact, int]


class Mean(Metric[Average]):
    """The arithmetic mean of the field `of`: the exact sum by the exact count, rounded once when it is shown.

    Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The
    value is a number.

        c.mean("typical", of="ms")
    """

    kind = "mean"
    takes = Takes.NUMBERS
    state_bytes = 168

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Grouping, values: NDArray[Any]) -> list[Average]:
        return list(zip(sums(groups, values), groups.sizes(), strict=True))

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
