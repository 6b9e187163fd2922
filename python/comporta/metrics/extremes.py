"""The least and the greatest of a number."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from comporta.metrics.contract import Metric, Takes
from comporta.metrics.numbers import Number, pack_number, plain, unpack_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comporta.groups import Grouping


class Extreme(Metric[Number]):
    """What `Min` and `Max` have in common."""

    takes = Takes.NUMBERS
    state_bytes = 32
    choose: ClassVar[Callable[..., Number]]

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Grouping, values: NDArray[Any]) -> list[Number]:
        return [plain(self.choose(numbers.tolist())) for numbers in groups.split(values)]

    def merge(self, state: Number, delta: Number) -> Number:
        return self.choose((state, delta))

    def pack(self, state: Number) -> Number | str:
        return pack_number(state)

    def unpack(self, packed: Number | str) -> Number:
        return unpack_number(packed)

    def value(self, state: Number) -> Number:
        return state


class Min(Extreme):
    """The least of the field `of`, exactly.

    Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The
    value is an int where it is whole, else a float.

        c.min("fastest", of="ms", every="1h")
    """

    kind = "min"
    choose = staticmethod(builtins.min)


class Max(Extreme):
    """The greatest of the field `of`, exactly.

    Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The
    value is an int where it is whole, else a float.

        c.max("slowest", of="ms", every="1h")
    """

    kind = "max"
    choose = staticmethod(builtins.max)
