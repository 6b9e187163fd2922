"""A partition's results in memory, on their way from one checkpoint to the next.

Results are folded in in order. `snapshot` takes what changed since the last one, as whole values; folding
goes on while it is flushed, and a row that it holds stays in memory until the flush has taken effect, because
the sink still has the older value. Rows are read from the sink when they are touched first, but for those
that cannot be there: the partition is its owner's alone, so where nothing was decided before it was opened,
the sink has what went through this fold. Output rows are only gathered, packed as they came.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from comporta.forgotten import Forgotten
from comporta.held import Held
from comporta.letters import LetterId
from comporta.metrics.contract import Metric
from comporta.notes import ROWS
from comporta.payloads import Letter, Result
from comporta.sinks.contract import Cell, Checkpoint, Ledger, Sink, Snapshot


class Fold:
    """One partition from the checkpoint that its owner opened it at.

    `position` is the offset before which everything is folded in.
    """

    def __init__(
        self,
        sink: Sink,
        generation: str,
        checkpoint: Checkpoint,
        metrics: Mapping[str, Metric[Any]],
        forgotten: Forgotten,
    ) -> None:
        self._sink = sink
        self._generation = generation
        self._decided = checkpoint
        self._began_empty = not checkpoint.flush
        self._held = {
            name: Held(metric, (checkpoint.partition, name), forgotten) for name, metric in metrics.items()
        }
        self._letters: list[Letter] = []
        self._output: list[bytes] = []
        self._replayed: set[LetterId] = set()
        self._noted: Counter[str] = Counter()
        self._noted_flushing: Counter[str] = Counter()
        self._flushing: Snapshot | None = None
        self._mark = checkpoint.mark
        self.position = checkpoint.upto
        self.ledger = checkpoint.ledger
        self._taken = self._taken_flushing = 0  # bytes of the results that came since the last snapshot

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory, at most."""
        return self._taken + self._taken_flushing + sum(held.size for held in self._held.values())

    @property
    def unflushed(self) -> int:
        """About how many of them wait for a flush."""
        return self._taken + sum(held.unflushed for held in self._held.values())

    def fold(self, upto: int, mark: bytes, ledger: Ledger, result: Result, size: int) -> None:
        """Fold in the result, of `size` bytes, of what lies between `position` and `upto`.

        After an exception the fold is of no use any more.
        """
        for name, columns in result["metrics"].items():
            self._held[name].fold(columns, self._read, is_all_here=self._began_empty)
        self._letters += result["letters"]
        if result["output"] is not None:
            self._output.append(result["output"])
        self._noted.update({name: result[name] for name in ROWS})  # type: ignore[literal-required]
        self._taken += size
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

    def _read(self, metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        return self._sink.read(self._generation, self._decided.partition, metric, cells)

    def snapshot(self) -> Snapshot | None:
        """The step from the last checkpoint to here, or None where there is none to make.

        It must be answered by `decided`, or the fold be dropped, before the next one is taken.
        """
        if self.position == self._decided.upto:
            return None
        after = replace(
            self._decided, upto=self.position, flush=secrets.token_hex(8), mark=self._mark, ledger=self.ledger
        )
        rows = {name: changed for name, held in self._held.items() if (changed := held.snapshot())}
        replayed = frozenset(self._replayed)
        self._flushing = Snapshot(self._decided, after, rows, self._letters, replayed, self._output)
        self._letters, self._replayed, self._output = [], set(), []
        self._taken_flushing, self._taken = self._taken, 0
        self._noted_flushing, self._noted = self._noted, Counter()
        return self._flushing

    def decided(self, snapshot: Snapshot) -> dict[str, int]:
        """The snapshot has taken effect: the next one goes on from there.

        Returns how many rows of it were not counted as others are, by the names of `notes.ROWS`.
        """
        self._decided = snapshot.after
        for held in self._held.values():
            held.settled()
        self._flushing, self._taken_flushing = None, 0
        return {name: self._noted_flushing[name] for name in ROWS}

    def evict(self) -> None:
        """Forget every row that the sink has as it is here."""
        for held in self._held.values():
            held.evict()
