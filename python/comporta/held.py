"""One metric's rows of a partition in memory, by bucket and key.

They lie in layers, of which the upper one has the newer value: what has changed since the last snapshot,
what that snapshot holds until its flush has taken effect, and what the sink has as it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from comporta.forgotten import Forgotten
from comporta.metrics.contract import Metric
from comporta.payloads import Columns, by_bucket
from comporta.sinks.contract import Cell, RowsOfMetric

Read = Callable[[str, Sequence[Cell]], dict[Cell, Any]]
"""What reads rows of a metric from the sink, packed."""

Layer = dict[int, dict[str, Any]]
"""States by bucket and key."""


class Held:
    """The rows of a metric; `place` is what tells them from all others of the store."""

    def __init__(self, metric: Metric[Any], place: tuple[str, str], forgotten: Forgotten) -> None:
        self._metric = metric
        self._place = place
        self._forgotten = forgotten
        self._changed: Layer = {}
        self._flushing: Layer = {}
        self._clean: Layer = {}

    def fold(self, columns: Columns, read: Read, *, is_all_here: bool) -> tuple[int, list[Any]]:
        """Merge deltas into their rows; how many rows became changed ones, and the states that were read.

        `is_all_here`: the sink has no row of them that was not in memory before.
        """
        parts = list(by_bucket(columns))
        changed = 0
        missing: list[Cell] = []
        for bucket, keys, _ in parts:
            held = self._changed.setdefault(bucket, {})
            new = set(keys).difference(held)
            changed += len(new)
            for layer in (self._flushing, self._clean):
                if new and (lower := layer.get(bucket)):
                    common = lower.keys() & new
                    held.update({key: lower[key] for key in common})
                    new -= common
            if new and is_all_here:
                new = self._forgotten.among((*self._place, bucket), new)
            missing += zip(repeat(bucket), new)
        states = self._fetch(missing, read) if missing else []
        for bucket, keys, deltas in parts:
            self._metric.fold(self._changed[bucket], keys, deltas)
        return changed, states

    def _fetch(self, cells: list[Cell], read: Read) -> list[Any]:
        """Have rows in memory that the sink has; their states."""
        found = read(self._metric.name, cells)
        for (bucket, key), state in found.items():
            self._changed[bucket][key] = self._metric.unpack(state)
        return list(found.values())

    def snapshot(self) -> RowsOfMetric:
        """What has changed since the last one, packed. It stays in memory until it is `settled`."""
        self._flushing, self._changed = self._changed, {}
        return {bucket: self._metric.packed(states) for bucket, states in self._flushing.items()}

    def settled(self) -> None:
        """The sink has what the last snapshot held."""
        for bucket, states in self._flushing.items():
            if bucket in self._clean:
                self._clean[bucket].update(states)
            else:
                self._clean[bucket] = states
        self._flushing = {}

    def evict(self) -> None:
        """Forget every row that the sink has as it is here."""
        for bucket, states in self._clean.items():
            self._forgotten.add((*self._place, bucket), states)
        self._clean = {}
