"""A partition's results in memory, on their way from one checkpoint to the next.

Results are folded in in order. `snapshot` takes what changed since the last one, as whole values; folding
goes on while it is flushed, and a row that it holds stays in memory until the flush has taken effect, because
the sink still has the older value. Rows are read from the sink when they are touched first. Output rows are
only gathered, packed as they came.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comporta.letters import LetterId
from comporta.metrics.contract import Metric
from comporta.notes import ROWS
from comporta.payloads import Columns, Letter, Result
from comporta.sinks.contract import Cell, Checkpoint, Ledger, Sink, Snapshot

# For bounding memory: about what a row takes besides its state, and an item of a state that is a collection.
ROW_BYTES = 512
ITEM_BYTES = 128


class Fold:
    """One partition from the checkpoint that its owner opened it at.

    `position` is the offset before which everything is folded in. `size` is about how many bytes it takes in
    memory, at most, and `unflushed` how many of them wait for a flush.
    """

    def __init__(
        self, sink: Sink, generation: str, checkpoint: Checkpoint, metrics: Mapping[str, Metric[Any]]
    ) -> None:
        self._sink = sink
        self._generation = generation
        self._decided = checkpoint
        self._metrics = metrics
        self._rows: dict[str, dict[Cell, Any]] = {name: {} for name in metrics}
        self._dirty: dict[str, set[Cell]] = {name: set() for name in metrics}
        self._letters: list[Letter] = []
        self._output: list[bytes] = []
        self._replayed: set[LetterId] = set()
        self._noted: Counter[str] = Counter()
        self._noted_flushing: Counter[str] = Counter()
        self._flushing: Snapshot | None = None
        self._mark = checkpoint.mark
        self.position = checkpoint.upto
        self.ledger = checkpoint.ledger
        self.size = self.unflushed = 0

    def fold(self, upto: int, mark: bytes, ledger: Ledger, result: Result, size: int) -> None:
        """Fold in the result, of `size` bytes, of what lies between `position` and `upto`.

        After an exception the fold is of no use any more.
        """
        for name, columns in result["metrics"].items():
            self._fold_metric(name, columns)
        self._letters += result["letters"]
        if result["output"] is not None:
            self._output.append(result["output"])
        self._noted.update({name: result[name] for name in ROWS})  # type: ignore[literal-required]
        self._grow(size)
        self.ledger += ledger
        self.position, self._mark = upto, mark

    def fold_replay(self, upto: int, letter: LetterId, ledger: Ledger, result: Result, size: int) -> None:
        """Fold in the result of one letter of the replay log, unless its replay has taken effect before."""
        remembered = letter in self._replayed or (self._flushing and letter in self._flushing.replayed)
        if remembered or self._sink.was_replayed(self._generation, [letter]):
            self.position = upto
        else:
            self._replayed.add(letter)
            self.fold(upto, self._mark, ledger, result, size)

    def _fold_metric(self, name: str, columns: Columns) -> None:
        metric, rows, dirty = self._metrics[name], self._rows[name], self._dirty[name]
        cells = list(zip(columns["buckets"], columns["keys"], strict=True))
        self._fetch(metric, [cell for cell in cells if cell not in rows])
        before = len(dirty)
        for cell, delta in zip(cells, map(metric.unpack, columns["deltas"]), strict=True):
            rows[cell] = metric.merge(rows[cell], delta) if cell in rows else delta
        dirty.update(cells)
        self._grow((len(dirty) - before) * ROW_BYTES)

    def _fetch(self, metric: Metric[Any], cells: list[Cell]) -> None:
        if cells:
            found = self._sink.read(self._generation, self._decided.partition, metric.name, cells)
            rows = self._rows[metric.name]
            for cell, state in found.items():
                rows[cell] = metric.unpack(state)
                self._grow(_size(state))

    def _grow(self, size: int) -> None:
        self.size += size
        self.unflushed += size

    def snapshot(self) -> Snapshot | None:
        """The step from the last checkpoint to here, or None where there is none to make.

        It must be answered by `decided`, or the fold be dropped, before the next one is taken.
        """
        if self.position == self._decided.upto:
            return None
        after = replace(
            self._decided, upto=self.position, flush=secrets.token_hex(8), mark=self._mark, ledger=self.ledger
        )
        rows = {
            name: {cell: self._metrics[name].pack(self._rows[name][cell]) for cell in dirty}
            for name, dirty in self._dirty.items()
            if dirty
        }
        replayed = frozenset(self._replayed)
        self._flushing = Snapshot(self._decided, after, rows, self._letters, replayed, self._output)
        self._dirty = {name: set() for name in self._metrics}
        self._letters, self._replayed, self._output, self.unflushed = [], set(), [], 0
        self._noted_flushing, self._noted = self._noted, Counter()
        return self._flushing

    def decided(self, snapshot: Snapshot) -> dict[str, int]:
        """The snapshot has taken effect: the next one goes on from there.

        Returns how many rows of it were not counted as others are, by the names of `notes.ROWS`.
        """
        self._decided = snapshot.after
        self.size -= self._output_flushing()
        self._flushing = None
        return {name: self._noted_flushing[name] for name in ROWS}

    def evict(self) -> None:
        """Forget every row that the sink has as it is here."""
        flushing = self._flushing.rows if self._flushing else {}
        for name, rows in self._rows.items():
            kept = self._dirty[name].union(flushing.get(name, ()))
            self._rows[name] = {cell: rows[cell] for cell in kept}
        self.size = self.unflushed + self._output_flushing()

    def _output_flushing(self) -> int:
        """Bytes of output rows that leave memory once their flush has taken effect."""
        return sum(map(len, self._flushing.output)) if self._flushing else 0


def _size(state: Any) -> int:
    if isinstance(state, (bytes, str)):
        return len(state)
    return len(state) * ITEM_BYTES if isinstance(state, (list, dict)) else 0
