"""The sink in Cassandra: what a flush changes is written down, then decided, then applied.

The protocol is that of `exactly_once_model`, with one more step: what was applied to its end is marked, so
that it need not be applied again, and its redo is deleted.

1. *redo*: the snapshot's changes in chunks, under (generation, partition, upto, flush). Whether the
   generation is still current is asked beside it, and must be answered before the next step.
2. *decide*: the checkpoint moves on, if it is still the one that the snapshot began at.
3. *apply*: dead letters, then rows with the timestamp `upto`, so that a write which lands late loses; output
   rows with it too, though nobody ever writes another in their place.
4. *mark* the checkpoint as applied, and delete the redo.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from comporta import addresses
from comporta.errors import StoreError, SupersededError
from comporta.generations import Generation
from comporta.letters import LetterId, LetterWriter
from comporta.payloads import AssignedPartition, Origin
from comporta.sinks.cassandra.checkpoints import Checkpoints, Decided
from comporta.sinks.cassandra.concurrency import at_once
from comporta.sinks.cassandra.generations import Generations
from comporta.sinks.cassandra.output import Output
from comporta.sinks.cassandra.redo import Changes, changes, chunks
from comporta.sinks.cassandra.replayed import Replayed
from comporta.sinks.cassandra.rows import Rows
from comporta.sinks.cassandra.schema import check_later_tables, has_later_tables, open_keyspace
from comporta.sinks.cassandra.session import Session
from comporta.sinks.contract import REPLAY, Cell, Checkpoint, OutputRow, Sink, Snapshot

PATIENCE = 0.5  # seconds in which an owner may end what it applies, before a reader does it too


class CassandraSink(Sink):
    """A sink in a keyspace that `init` has made; a group of processes shares it.

    It has no table of dead letters: `letter_writer` writes them. Without one it is for reading: what it
    applies for that leaves its letters to the next owner. Raises `StoreError` where the keyspace is not
    there.
    """

    def __init__(self, url: str, letter_writer: LetterWriter | None) -> None:
        self._session = Session(addresses.cassandra(url))
        try:
            open_keyspace(self._session)
        except BaseException:
            self._session.close()
            raise
        self._letter_writer = letter_writer
        self._generations = Generations(self._session)
        self._checkpoints = Checkpoints(self._session)
        self._rows = Rows(self._session)
        self._replayed = Replayed(self._session)
        self._output = Output(self._session)

    def close(self) -> None:
        """Let go of the cluster."""
        self._session.close()

    def own(self, pipeline: str) -> str | None:
        return None  # partitions are shared out by the group; comparisons decide where it errs

    def current(self, pipeline: str) -> Generation | None:
        generation = self._generations.current(pipeline)
        if generation is None:
            return None
        decided = self._all_decided(generation.id)
        succeeded = any(one.checkpoint.ledger.consumed > one.checkpoint.ledger.dead for one in decided)
        return replace(generation, succeeded=succeeded)

    def install(self, generation: Generation, instead_of: str | None) -> bool:
        self._check_tables(generation)
        return self._generations.install(generation, instead_of)

    def originate(self, generation: str, origin: Origin) -> Origin:
        return self._generations.originate(generation, origin)

    def redefine(self, generation: Generation) -> None:
        self._check_tables(generation)
        self._generations.redefine(generation)

    def forget(self, pipeline: str) -> None:
        for generation, metrics in self._generations.old(pipeline):
            self._rows.delete(generation, metrics)
            if has_later_tables(self._session):
                self._output.delete(generation, self._checkpoints.names(generation))
            partitions = self._checkpoints.delete(generation)
            self._replayed.delete(generation, partitions)
            self._generations.delete(pipeline, generation)

    def generations(self, pipeline: str) -> None:
        return None

    def checkpoints(self, generation: str) -> list[Checkpoint]:
        decided = self._all_decided(generation)
        return at_once(lambda one: self._finished(generation, one).checkpoint, decided)

    def open(self, generation: str, partitions: Sequence[AssignedPartition]) -> list[Checkpoint]:
        self._generations.check_current(generation)
        self._generations.start(generation)
        self._checkpoints.announce(generation, partitions)
        return at_once(lambda assigned: self._open(generation, assigned), partitions)

    def _open(self, generation: str, assigned: AssignedPartition) -> Checkpoint:
        decided = self._checkpoints.create(generation, assigned)
        return self._finish(generation, decided, is_owner=True).checkpoint

    def read(self, generation: str, partition: str, metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        return self._rows.read(generation, self._generations.facts(generation), partition, metric, cells)

    def was_replayed(self, generation: str, letters: Sequence[LetterId]) -> set[LetterId]:
        return self._replayed.among(generation, letters)

    def flush(self, generation: str, snapshots: Sequence[Snapshot]) -> list[bool]:
        check_current = self._generations.begin_check(generation)  # answered while redos are written
        if not snapshots:
            check_current()
        return at_once(lambda snapshot: self._flush(generation, snapshot, check_current), snapshots)

    def _flush(self, generation: str, snapshot: Snapshot, check_current: Callable[[], None]) -> bool:
        if snapshot.letters:
            self._check_writer()  # or what is decided could not be applied
        after = snapshot.after
        count = self._checkpoints.write_redo(generation, after, chunks(snapshot))
        decided = Decided(after, count, applied=None)
        try:
            check_current()
        except SupersededError:
            self._checkpoints.delete_redo(generation, after)  # its generation may have been deleted by now
            raise
        if not self._checkpoints.decide(generation, snapshot.before, decided):
            self._checkpoints.delete_redo(generation, after)
            return False
        self._apply(generation, decided, _changes(snapshot))
        return True

    def _apply(self, generation: str, decided: Decided, what: Changes) -> None:
        """Have what was decided take effect; doing it twice, or at once with others, changes nothing more."""
        if decided.is_applied:
            return
        checkpoint = decided.checkpoint
        if what.letters and self._letter_writer:
            self._letter_writer.write(generation, what.letters)
        facts = self._generations.facts(generation, metrics=set(what.rows))
        self._rows.write(generation, facts, checkpoint.partition, checkpoint.upto, what.rows)
        self._replayed.write(generation, what.replayed)
        self._output.write(generation, facts, checkpoint.upto, what.output)
        if what.letters and not self._letter_writer:
            return
        self._checkpoints.mark_applied(generation, checkpoint)
        self._checkpoints.delete_redo(generation, checkpoint)

    def _check_tables(self, generation: Generation) -> None:
        """Raise `StoreError` if the generation keeps rows, and the keyspace is too old for that."""
        if generation.definition.rows:
            check_later_tables(self._session)

    def _check_writer(self) -> None:
        """Raise `StoreError` if there is nothing that writes dead letters."""
        if self._letter_writer is None:
            raise StoreError(
                "there are dead letters to write, and Cassandra keeps none: say where they are with --dead,"
                " such as kafka://127.0.0.1:9092/access.dead"
            )

    def _finish(self, generation: str, decided: Decided, *, is_owner: bool = False) -> Decided:
        """Apply a partition's last flush, if that was not done to the end; what was decided last by then."""
        while not decided.is_applied:
            data = self._checkpoints.redo(generation, decided.checkpoint)
            if len(data) >= decided.chunks:
                what = changes(data)
                if is_owner and what.letters:
                    self._check_writer()
                self._apply(generation, decided, what)
                return decided
            again = self._checkpoints.last(generation, decided.checkpoint)
            if again is None or again == decided:
                raise StoreError(
                    f"{self._session}: {decided.chunks - len(data)} of {decided.chunks} parts are lost of the"
                    f" flush {decided.checkpoint.flush} of {decided.checkpoint.shown}, which was decided: was"
                    " the table redo truncated, restored or edited? Count again with `comporta reset`"
                )
            decided = again
        return decided

    def _finished(self, generation: str, decided: Decided) -> Decided:
        """The same for one who only reads: most flushes are applied by those who decided them, just now."""
        until = time.monotonic() + PATIENCE
        last: Decided | None = decided
        while last == decided and not decided.is_applied and time.monotonic() < until:
            time.sleep(PATIENCE / 10)
            last = self._checkpoints.last(generation, decided.checkpoint)
        return self._finish(generation, decided) if last == decided else decided

    def _all_decided(self, generation: str) -> list[Decided]:
        """The replay log's first: a letter that it has counted is one that another partition has as dead."""
        listed = self._checkpoints.listed(generation)
        first = [known for known in listed if known.partition == REPLAY]
        others = [known for known in listed if known.partition != REPLAY]
        found = {
            known.partition: decided
            for known, decided in zip(
                first + others,
                [
                    *(self._checkpoints.last(generation, known) for known in first),
                    *at_once(lambda known: self._checkpoints.last(generation, known), others),
                ],
                strict=True,
            )
        }
        return [decided for known in listed if (decided := found[known.partition])]

    def expire(self, generation: str, metric: str, before: int) -> None:
        """Nothing: rows are written with the time at which they expire."""

    def expire_output_rows(self, generation: str, before: int) -> None:
        """Nothing, for the same reason."""

    def rows(
        self, generation: str, metric: str, since: int | None, until: int | None
    ) -> Iterator[tuple[int, str, Any]]:
        facts = self._generations.check_here(generation)
        if facts is None:
            return iter(())
        self.checkpoints(generation)
        return self._rows.all(generation, facts, metric, since, until)

    def output_rows(self, generation: str, partitions: Sequence[str]) -> Iterator[OutputRow]:
        if self._generations.check_here(generation) is None or not has_later_tables(self._session):
            return iter(())
        self.checkpoints(generation)
        return self._output.all(generation, partitions)


def _changes(snapshot: Snapshot) -> Changes:
    return Changes(
        dict(snapshot.rows),
        list(snapshot.letters),
        set(snapshot.replayed),
        list(snapshot.output),
    )
