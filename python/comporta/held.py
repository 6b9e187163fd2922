"""One metric's rows of a partition in memory, by bucket and key.

They lie in layers, of which the upper one has the newer value: what has changed since the last snapshot,
what that snapshot holds until its flush has taken effect, and what the sink has as it is here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import is_not, not_
from typing import Any

from comporta.forgotten import Forgotten
from comporta.metrics.contract import Metric
from comporta.payloads import Columns, by_bucket
from comporta.sinks.contract import Cell, RowsOfMetric

Read = Callable[[str, Sequence[Cell]], dict[Cell, Any]]
"""What reads rows of a metric from the sink, packed."""

# About what a row takes in a layer besides its state: with the key, 80 to 140 bytes of a count were measured.
ROW_BYTES = 128
ITEM_BYTES = 128  # of a state that is a collection


@dataclass
class Layer:
    """States by bucket and key: how many `rows`, which have `grown` by so many bytes here."""

    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    grown: int = 0

    def add(self, other: Layer) -> None:
        """Put the states of another one in, instead of those that are here."""
        for bucket, states in other.states.items():
            here = self.states.setdefault(bucket, states)
            if here is states:
                self.rows += len(states)
            else:
                self.rows -= len(here)
                here.update(states)
                self.rows += len(here)
        self.grown += other.grown


class Held:
    """The rows of a metric; `place` is what tells them from all others of the store."""

    def __init__(self, metric: Metric[Any], place: tuple[str, str], forgotten: Forgotten) -> None:
        self._metric = metric
        self._place = place
        self._forgotten = forgotten
        self._changed = Layer()
        self._flushing = Layer()
        self._clean = Layer()

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory, at most."""
        return sum(map(self._size, (self._changed, self._flushing, self._clean)))

    @property
    def unflushed(self) -> int:
        """About how many of them have changed since the last snapshot."""
        return self._size(self._changed)

    def _size(self, layer: Layer) -> int:
        return layer.rows * (ROW_BYTES + (self._metric.state_bytes or 0)) + layer.grown

    def fold(self, columns: Columns, read: Read, *, is_all_here: bool) -> None:
        """Merge deltas into their rows. Raises `ValueError` where a row has two of them.

        `is_all_here`: the sink has no row of them that was not in memory before.
        """
        unseen: list[tuple[int, Sequence[str], Sequence[Any]]] = []
        missing: list[Cell] = []
        for bucket, keys, deltas in by_bucket(columns):
            self._grow(deltas)
            for layer in (self._changed, self._flushing, self._clean):
                if states := layer.states.get(bucket):
                    keys, deltas = self._merge(bucket, states, keys, deltas)
            if keys:
                unseen.append((bucket, keys, deltas))
                some = self._forgotten.among((*self._place, bucket), keys) if is_all_here else keys
                missing += zip(repeat(bucket), some)
        found = self._fetched(missing, read) if missing else {}
        for bucket, keys, deltas in unseen:
            if states := found.get(bucket):
                keys, deltas = self._merge(bucket, states, keys, deltas)
            self._change(bucket, keys, self._metric.unpack_all(deltas))

    def _merge(
        self, bucket: int, before: Mapping[str, Any], keys: Sequence[str], deltas: Sequence[Any]
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Merge into states from before, where there is one; the other keys, and their deltas.

        Without bytecode for each of them: there may be as many as there are records.
        """
        states = list(map(before.get, keys))
        are_there = list(map(is_not, states, repeat(None)))
        if not any(are_there):
            return keys, deltas
        if all(are_there):
            self._change(bucket, keys, self._metric.merged(states, deltas))
            return (), ()
        common, theirs = list(compress(keys, are_there)), compress(deltas, are_there)
        self._change(bucket, common, self._metric.merged(compress(states, are_there), theirs))
        are_others = list(map(not_, are_there))
        return list(compress(keys, are_others)), list(compress(deltas, are_others))

    def _change(self, bucket: int, keys: Sequence[str], states: Iterable[Any]) -> None:
        changed = self._changed.states.setdefault(bucket, {})
        before = len(changed)
        changed.update(zip(keys, states, strict=True))
        self._changed.rows += len(changed) - before

    def _fetched(self, cells: list[Cell], read: Read) -> dict[int, dict[str, Any]]:
        """States that the sink has of those rows, by bucket and key."""
        packed = read(self._metric.name, cells)
        self._grow(packed.values())
        found: dict[int, dict[str, Any]] = defaultdict(dict)
        for (bucket, key), state in zip(packed, self._metric.unpack_all(packed.values()), strict=True):
            found[bucket][key] = state
        return found

    def _grow(self, packed: Iterable[Any]) -> None:
        if self._metric.state_bytes is None:
            self._changed.grown += sum(map(_packed_size, packed))

    def snapshot(self) -> RowsOfMetric:
        """What has changed since the last one, packed. It stays in memory until it is `settled`."""
        self._flushing, self._changed = self._changed, Layer()
        return {bucket: self._metric.packed(states) for bucket, states in self._flushing.states.items()}

    def settled(self) -> None:
        """The sink has what the last snapshot held."""
        self._clean.add(self._flushing)
        self._flushing = Layer()

    def evict(self) -> None:
        """Forget every row that the sink has as it is here."""
        for bucket, states in self._clean.states.items():
            self._forgotten.add((*self._place, bucket), states)
        self._clean = Layer()


def _packed_size(state: Any) -> int:
    if isinstance(state, (bytes, str)):
        return len(state)
    return len(state) * ITEM_BYTES if isinstance(state, (list, dict)) else 0
