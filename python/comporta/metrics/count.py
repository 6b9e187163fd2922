"""How many rows there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add
from typing import TYPE_CHECKING, Any

from comporta.metrics.contract import Metric, Takes

if TYPE_CHECKING:
    from comporta.groups import Grouping


class Count(Metric[int]):
    """Counts rows, exactly.

    `by`: fields to group by. `every`: the length of a bucket of time ("30s", "5m", "1h", "1d"; default: all
    time is one). The value is an int. Raises `DefinitionError` for what is not valid.

        c.count("requests", by=["status", "method"], every="1m")
    """

    kind = "count"
    takes = Takes.NOTHING
    state_bytes = 32

    def __init__(self, name: str, *, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=None, by=by, every=every)

    def batch(self, groups: Grouping, values: None) -> list[int]:
        return groups.sizes()

    def merge(self, state: int, delta: int) -> int:
        return state + delta

    def pack(self, state: int) -> int:
        return state

    def unpack(self, packed: int) -> int:
        return packed

    def value(self, state: int) -> int:
        return state

    def merged(self, states: Iterable[int], deltas: Iterable[Any]) -> Iterable[int]:
        return map(add, states, deltas)

    def unpack_all(self, packed: Iterable[Any]) -> Iterable[int]:
        return packed

    def pack_all(self, states: Sequence[int]) -> Sequence[int]:
        return states

    def packed(self, states: dict[str, int]) -> dict[str, int]:
        return states
