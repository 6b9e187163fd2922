"""Checkpoints, which comparisons alone change, and the redo of the flush that each was decided by."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from comporta.payloads import AssignedPartition
from comporta.sinks.cassandra.session import Session
from comporta.sinks.contract import Checkpoint, Ledger

LEDGER = "consumed, counted, dropped, duplicates, dead"
COLUMNS = f"start, upto, flush, mark, chunks, applied, {LEDGER}"


@dataclass(frozen=True)
class Decided:
    """A partition's last checkpoint; its flush changes `chunks` chunks, and `applied` names one that did."""

    checkpoint: Checkpoint
    chunks: int
    applied: str | None

    @property
    def is_applied(self) -> bool:
        """Whether the flush has taken effect to its end."""
        return self.chunks == 0 or self.applied == self.checkpoint.flush


class Checkpoints:
    """The partitions of all generations of a keyspace."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def listed(self, generation: str) -> list[Checkpoint]:
        """All partitions that were announced, in that order; of each, only what is shown is filled in."""
        rows = self._session.run(
            "SELECT partition, shown, meta, came FROM partitions WHERE generation = ?", generation
        )
        rows.sort(key=lambda row: row.came)
        return [_shown(row.partition, row.shown, row.meta) for row in rows]

    def names(self, generation: str) -> list[str]:
        """All partitions that were announced, in that order."""
        return [known.partition for known in self.listed(generation)]

    def announce(self, generation: str, partitions: Sequence[AssignedPartition]) -> None:
        """List partitions, and what is to be shown of them."""
        known = {one.partition: one for one in self.listed(generation)}
        new = [one for one in partitions if one["partition"] not in known]
        now = time.time_ns()
        self._session.run_all(
            "INSERT INTO partitions (generation, partition, came, shown, meta) VALUES (?, ?, ?, ?, ?)",
            (
                (generation, one["partition"], now + number, one["shown"], one["meta"])
                for number, one in enumerate(new)
            ),
        )
        self._session.run_all(
            "UPDATE partitions SET shown = ?, meta = ? WHERE generation = ? AND partition = ?",
            (
                (one["shown"], one["meta"], generation, one["partition"])
                for one in partitions
                if (before := known.get(one["partition"]))
                and (before.shown, before.meta) != (one["shown"], one["meta"])
            ),
        )

    def create(self, generation: str, assigned: AssignedPartition) -> Decided:
        """What was decided last of a partition, which is its start if nothing was."""
        shown = _shown(assigned["partition"], assigned["shown"], assigned["meta"])
        while (last := self.last(generation, shown)) is None:
            # `applied` is left out: a comparison's timestamp is of today, and would beat every offset.
            self._session.run(
                f"INSERT INTO checkpoints (generation, partition, start, upto, flush, mark, chunks, {LEDGER})"
                " VALUES (?, ?, ?, ?, '', 0x, 0, 0, 0, 0, 0, 0) IF NOT EXISTS",
                *(generation, assigned["partition"], assigned["start"], assigned["start"]),
            )
        return last

    def last(self, generation: str, known: Checkpoint) -> Decided | None:
        """What was decided last of a partition; what is shown of it is as in `known`."""
        rows = self._session.run_serial(
            f"SELECT {COLUMNS} FROM checkpoints WHERE generation = ? AND partition = ?",
            *(generation, known.partition),
        )
        if not rows:
            return None
        start, upto, flush, mark, chunks, applied, *ledger = rows[0]
        return Decided(
            replace(known, start=start, upto=upto, flush=flush, mark=mark, ledger=Ledger(*ledger)),
            *(chunks, applied),
        )

    def decide(self, generation: str, before: Checkpoint, new: Decided) -> bool:
        """Move a partition on, if it still is where the flush began; whether it is where the flush ends.

        The comparison is asked until it is answered. It may have been carried out before by then: a row that
        shows the flush's own id says so.
        """
        after = new.checkpoint
        (row,) = self._session.run(
            "UPDATE checkpoints SET upto = ?, flush = ?, mark = ?, chunks = ?, consumed = ?, counted = ?,"
            " dropped = ?, duplicates = ?, dead = ? WHERE generation = ? AND partition = ?"
            " IF upto = ? AND flush = ?",
            *(after.upto, after.flush, after.mark, new.chunks, *astuple(after.ledger)),
            *(generation, after.partition, before.upto, before.flush),
        )
        return bool(row.applied) or getattr(row, "flush", None) == after.flush

    def mark_applied(self, generation: str, checkpoint: Checkpoint) -> None:
        """Say that the flush has taken effect to its end."""
        self._session.run(
            "UPDATE checkpoints USING TIMESTAMP ? SET applied = ? WHERE generation = ? AND partition = ?",
            *(checkpoint.upto, checkpoint.flush, generation, checkpoint.partition),
        )

    def write_redo(self, generation: str, checkpoint: Checkpoint, chunks: Iterable[bytes]) -> int:
        """Write down what a flush will change; how many chunks that is."""
        count = 0

        def rows() -> Iterable[Sequence[Any]]:
            nonlocal count
            for chunk in chunks:
                yield (*_place(generation, checkpoint), count, chunk)
                count += 1

        self._session.run_all(
            "INSERT INTO redo (generation, partition, upto, flush, chunk, data) VALUES (?, ?, ?, ?, ?, ?)"
            " USING TIMESTAMP 1",
            rows(),
        )
        return count

    def redo(self, generation: str, checkpoint: Checkpoint) -> list[bytes]:
        """The chunks that are there of what a flush changes."""
        rows = self._session.run(
            "SELECT data FROM redo WHERE generation = ? AND partition = ? AND upto = ? AND flush = ?",
            *_place(generation, checkpoint),
        )
        return [row.data for row in rows]

    def delete_redo(self, generation: str, checkpoint: Checkpoint) -> None:
        """Delete what a flush would change: it has taken effect, or never will."""
        self._session.run(
            "DELETE FROM redo WHERE generation = ? AND partition = ? AND upto = ? AND flush = ?",
            *_place(generation, checkpoint),
        )

    def delete(self, generation: str) -> list[str]:
        """Delete all of a generation's partitions; which they were."""
        partitions = self.names(generation)
        self._session.run_all(
            "DELETE FROM checkpoints WHERE generation = ? AND partition = ? IF EXISTS",
            ((generation, partition) for partition in partitions),
        )
        # Of owners that died between writing down and deciding; the table holds little else.
        orphans = self._session.run("SELECT DISTINCT generation, partition, upto, flush FROM redo")
        self._session.run_all(
            "DELETE FROM redo WHERE generation = ? AND partition = ? AND upto = ? AND flush = ?",
            (row for row in orphans if row.generation == generation),
        )
        self._session.run("DELETE FROM partitions WHERE generation = ?", generation)
        return partitions


def _shown(partition: str, shown: str, meta: bytes) -> Checkpoint:
    return Checkpoint(partition, shown, 0, 0, "", b"", meta, Ledger())


def _place(generation: str, checkpoint: Checkpoint) -> tuple[str, str, int, str]:
    return generation, checkpoint.partition, checkpoint.upto, checkpoint.flush
