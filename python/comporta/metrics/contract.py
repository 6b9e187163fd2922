"""What a metric is: a definition, and a state that grows by merging.

A worker computes one delta state per group of a batch (`batch`). The store merges deltas into the state of
their row (`merge`), keeps it packed (`pack`, `unpack`), and `query` merges rows and shows the result
(`value`). Merging is associative and commutative with regard to `value`: batches may be cut anywhere and rows
summed up in any order.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypedDict, TypeVar

from comporta import options

if TYPE_CHECKING:  # only workers have numpy, which costs a process 0.1 s
    from comporta.groups import Grouping

State = TypeVar("State")


class MetricDefinition(TypedDict):
    """A metric as its pipeline's definition holds it: JSON. `every` is in seconds, None for all time."""

    name: str
    kind: str
    of: str | None
    by: list[str]
    every: int | None
    k: int | None


class Takes(Enum):
    """What a metric is given of the field that it is `of`."""

    NOTHING = "nothing"  # it counts rows
    NUMBERS = "numbers"  # an array of finite numbers: of int64, of float64, or of Python's ints and floats
    TEXTS = "texts"  # a grouping by value, the identities being canonical JSON text


class Metric(abc.ABC, Generic[State]):
    """One number, or one summary, per bucket of time and group of fields.

    `name` is unique in its pipeline. `of` is the field summed up, `by` are the fields grouped by, `every` is
    the length of a bucket in seconds (None: one bucket for all time), `k` how many items `top` shows.
    """

    kind: ClassVar[str]
    takes: ClassVar[Takes]
    longest: ClassVar[int | None] = None
    """Bytes that a text may have, where that matters."""
    state_bytes: ClassVar[int | None] = None
    """About how many bytes a state takes in memory; None where it grows with what is merged into it."""
    note: ClassVar[str | None] = None
    """How far the value may be off, in words; None where it is exact."""

    k: int | None = None

    def __init__(
        self, name: str, *, of: str | None, by: str | Iterable[str] = (), every: str | None = None
    ) -> None:
        self.name = options.name(name, "a metric")
        self.of = None if self.takes is Takes.NOTHING else options.field(of, "of")
        self.by = options.fields(by, "by")
        self.every = None if every is None else options.duration(every, "every")

    def definition(self) -> MetricDefinition:
        """The metric as its pipeline's definition holds it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "of": self.of,
            "by": list(self.by),
            "every": self.every,
            "k": self.k,
        }

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name!r}>"

    @abc.abstractmethod
    def batch(self, groups: Grouping, values: Any) -> list[State]:
        """A new state for each of the groups.

        `values` are what the metric takes of the same rows, each of which has one. Every group has a row.
        """

    @abc.abstractmethod
    def merge(self, state: State, delta: State) -> State:
        """The state of both together. May change and return `state` itself; leaves `delta` as it is."""

    @abc.abstractmethod
    def pack(self, state: State) -> Any:
        """The state as msgpack holds it: integers of 64 bits, floats, text, bytes, lists and maps."""

    @abc.abstractmethod
    def unpack(self, packed: Any) -> State:
        """The state that `pack` packed."""

    @abc.abstractmethod
    def value(self, state: State) -> Any:
        """The state's result as JSON holds it."""

    def merged(self, states: Iterable[State], deltas: Iterable[Any]) -> Iterable[State]:
        """What merging a packed delta into each of the states makes of it."""
        return map(self.merge, states, self.unpack_all(deltas))

    def unpack_all(self, packed: Iterable[Any]) -> Iterable[State]:
        """What `unpack` makes of each."""
        return map(self.unpack, packed)

    def pack_all(self, states: Sequence[State]) -> Sequence[Any]:
        """What `pack` makes of each."""
        return list(map(self.pack, states))

    def packed(self, states: dict[str, State]) -> dict[str, Any]:
        """The same by key. It may be `states` itself, which must stay as it is for as long as it is used."""
        return dict(zip(states, map(self.pack, states.values()), strict=True))
