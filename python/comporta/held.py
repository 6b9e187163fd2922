"""One metric's rows of a partition in memory, by bucket and key.

They lie in layers, of which the upper one has the newer value: what has changed since the last snapshot,
what that snapshot holds until its flush has taken effect, and what the sink has as it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
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
        """Merge deltas into their rows.

        `is_all_here`: the sink has no row of them that was not in memory before.
        """
        parts = list(by_bucket(columns))
        missing: list[Cell] = []
        for bucket, keys, _ in parts:
            held = self._changed.states.setdefault(bucket, {})
            new = set(keys).difference(held)
            self._changed.rows += len(new)
            for layer in (self._flushing, self._clean):
                if new and (lower := layer.states.get(bucket)):
                    common = lower.keys() & new
                    held.update({key: lower[key] for key in common})
                    new -= common
            if new and is_all_here:
                new = self._forgotten.among((*self._place, bucket), new)
            missing += zip(repeat(bucket), new)
        if missing:
            self._fetch(missing, read)
        for bucket, keys, deltas in parts:
            self._metric.fold(self._changed.states[bucket], keys, deltas)
            self._grow(deltas)

    def _fetch(self, cells: list[Cell], read: Read) -> None:
        """Have rows in memory that the sink has."""
        found = read(self._metric.name, cells)
        for (bucket, key), state in found.items():
            self._changed.states[bucket][key] = self._metric.unpack(state)
        self._grow(found.values())

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
