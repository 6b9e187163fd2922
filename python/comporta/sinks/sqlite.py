"""The embedded sink: a flush is one transaction of an SQLite file.

As everything of a flush is one transaction, nothing is ever decided and not yet applied: but for letters that
are kept elsewhere, whose table is an outbox then, emptied after each flush and before anything else.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

from comporta import payloads
from comporta.database import Database, database_path
from comporta.definition import Definition
from comporta.errors import SupersededError
from comporta.generations import Generation
from comporta.letters import LetterId, LetterWriter, identity
from comporta.letters.sqlite import delete_letters, some_letters, write_letters
from comporta.ownership import Ownership
from comporta.payloads import AssignedPartition, Letter, Origin, OutputRows
from comporta.sinks.contract import Cell, Checkpoint, Ledger, OutputRow, Sink, Snapshot
from comporta.sinks.sqlite_rows import read_rows, unpacked, write_rows

LETTERS_AT_ONCE = 100  # each of up to a MiB
CHECKPOINT = "partition, shown, start, upto, flush, mark, meta, consumed, counted, dropped, duplicates, dead"


class SQLiteSink(Sink):
    """A sink in an SQLite file; one connection reads and one writes, so that a flush holds up no read.

    Letters stay in the file, or go to `letter_writer`, if there is one.
    """

    def __init__(self, url: str, *, create: bool, letter_writer: LetterWriter | None = None) -> None:
        self._letter_writer = letter_writer
        self._path = database_path(url)
        self._writer = Database(self._path, create=create, durable=True)
        self._reader = Database(self._path, create=False, durable=False)
        self._writing = threading.Lock()
        self._ownerships: dict[str, Ownership] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def own(self, pipeline: str) -> str | None:
        return self._ownerships.setdefault(pipeline, Ownership(self._path, pipeline)).take()

    def current(self, pipeline: str) -> Generation | None:
        return self._reader.read(lambda connection: _current(connection, pipeline))

    def install(self, generation: Generation, instead_of: str | None) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            current = _current(connection, generation.pipeline)
            if (current and current.id) != instead_of:
                return False
            connection.execute("UPDATE generations SET current = 0 WHERE id = ?", [instead_of])
            connection.execute(
                "INSERT INTO generations (id, pipeline, current, created, start, definition, retired, origin)"
                " VALUES (?, ?, 1, ?, ?, ?, ?, ?)",
                [
                    generation.id,
                    generation.pipeline,
                    int(time.time()),
                    generation.start,
                    *_definition(generation),
                    generation.origin and json.dumps(generation.origin),
                ],
            )
            return True

        with self._writing:
            return self._writer.write(work)

    def originate(self, generation: str, origin: Origin) -> Origin:
        def work(connection: sqlite3.Connection) -> Origin:
            connection.execute(
                "UPDATE generations SET origin = ? WHERE id = ? AND origin IS NULL",
                [json.dumps(origin), generation],
            )
            (decided,) = connection.execute(
                "SELECT origin FROM generations WHERE id = ?", [generation]
            ).fetchone()
            held: Origin = json.loads(decided)
            return held

        with self._writing:
            return self._writer.write(work)

    def redefine(self, generation: Generation) -> None:
        with self._writing:
            self._writer.write(
                lambda connection: connection.execute(
                    "UPDATE generations SET definition = ?, retired = ? WHERE id = ?",
                    [*_definition(generation), generation.id],
                )
            )

    def forget(self, pipeline: str) -> None:
        old = "SELECT id FROM generations WHERE pipeline = ? AND NOT current"
        partitions = "SELECT number FROM partitions WHERE generation IN ({})"

        def work(connection: sqlite3.Connection) -> None:
            for statement in (
                f"DELETE FROM rows WHERE partition IN ({partitions})",
                f"DELETE FROM output_rows WHERE partition IN ({partitions})",
                "DELETE FROM partitions WHERE generation IN ({})",
                "DELETE FROM letters WHERE generation IN ({})",
                "DELETE FROM replay_log WHERE generation IN ({})",
                "DELETE FROM replayed WHERE generation IN ({})",
                "DELETE FROM claims WHERE generation IN (SELECT number FROM names WHERE name IN ({}))",
            ):
                connection.execute(statement.format(old), [pipeline])

        with self._writing:
            self._writer.write(work)

    def generations(self, pipeline: str) -> list[str]:
        rows = self._reader.read(
            lambda connection: connection.execute(
                "SELECT id FROM generations WHERE pipeline = ?", [pipeline]
            ).fetchall()
        )
        return [id for (id,) in rows]

    def checkpoints(self, generation: str) -> list[Checkpoint]:
        rows = self._reader.read(
            lambda connection: connection.execute(
                f"SELECT {CHECKPOINT} FROM partitions WHERE generation = ? ORDER BY number", [generation]
            ).fetchall()
        )
        return [_checkpoint(row) for row in rows]

    def open(self, generation: str, partitions: Sequence[AssignedPartition]) -> list[Checkpoint]:
        def work(connection: sqlite3.Connection) -> list[Checkpoint]:
            _check_current(connection, generation)
            connection.execute(
                "UPDATE generations SET started = 1 WHERE id = ? AND NOT started", [generation]
            )
            return [self._open(connection, generation, partition) for partition in partitions]

        self._deliver(generation)
        with self._writing:
            return self._writer.write(work)

    def _open(
        self, connection: sqlite3.Connection, generation: str, assigned: AssignedPartition
    ) -> Checkpoint:
        connection.execute(
            "INSERT INTO partitions (generation, partition, shown, meta, start, upto, flush, mark)"
            " VALUES (?, ?, ?, ?, ?, ?, '', x'') ON CONFLICT (generation, partition)"
            " DO UPDATE SET shown = excluded.shown, meta = excluded.meta"
            " WHERE shown != excluded.shown OR meta != excluded.meta",
            [
                *(generation, assigned["partition"], assigned["shown"], assigned["meta"]),
                *(assigned["start"], assigned["start"]),
            ],
        )
        return _checkpoint(
            connection.execute(
                f"SELECT {CHECKPOINT} FROM partitions WHERE generation = ? AND partition = ?",
                [generation, assigned["partition"]],
            ).fetchone()
        )

    def read(self, generation: str, partition: str, metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        def work(connection: sqlite3.Connection) -> dict[Cell, Any]:
            return read_rows(connection, (self._number(connection, generation, partition), metric), cells)

        return self._reader.read(work)

    def was_replayed(self, generation: str, letters: Sequence[LetterId]) -> set[LetterId]:
        def work(connection: sqlite3.Connection) -> set[LetterId]:
            return {
                letter
                for letter in letters
                if connection.execute(
                    "SELECT 1 FROM replayed"
                    ' WHERE generation = ? AND partition = ? AND "offset" = ? AND attempt = ?',
                    (generation, *letter),
                ).fetchone()
            }

        return self._reader.read(work)

    def flush(self, generation: str, snapshots: Sequence[Snapshot]) -> list[bool]:
        def work(connection: sqlite3.Connection) -> list[bool]:
            _check_current(connection, generation)
            return [self._decide(connection, generation, snapshot) for snapshot in snapshots]

        with self._writing:
            decided = self._writer.write(work)
        if any(snapshot.letters for snapshot in snapshots):
            self._deliver(generation)
        return decided

    def _deliver(self, generation: str) -> None:
        """Hand over the letters that are to be kept elsewhere, again if that was done and not noted."""

        def work(connection: sqlite3.Connection) -> list[Letter]:
            delete_letters(connection, generation, delivered)
            return some_letters(connection, generation, LETTERS_AT_ONCE)

        delivered: list[LetterId] = []
        while self._letter_writer:
            with self._writing:
                letters = self._writer.write(work)
            if not letters:
                return
            self._letter_writer.write(generation, letters)
            delivered = [identity(letter) for letter in letters]

    def _decide(self, connection: sqlite3.Connection, generation: str, snapshot: Snapshot) -> bool:
        after = snapshot.after
        number, *last = connection.execute(
            "SELECT number, upto, flush FROM partitions WHERE generation = ? AND partition = ?",
            [generation, after.partition],
        ).fetchone()
        if last == [after.upto, after.flush]:  # a commit that was answered by an error, and happened
            return True
        if last != [snapshot.before.upto, snapshot.before.flush]:
            return False
        ledger = after.ledger
        connection.execute(
            "UPDATE partitions SET upto = ?, flush = ?, mark = ?, consumed = ?, counted = ?, dropped = ?,"
            " duplicates = ?, dead = ? WHERE number = ?",
            [
                *(after.upto, after.flush, after.mark),
                *(ledger.consumed, ledger.counted, ledger.dropped, ledger.duplicates, ledger.dead),
                number,
            ],
        )
        for metric, buckets in snapshot.rows.items():
            for bucket, rows in buckets.items():
                write_rows(connection, (number, metric, bucket), rows)
        write_letters(connection, generation, snapshot.letters)
        connection.executemany(
            "INSERT OR IGNORE INTO replayed VALUES (?, ?, ?, ?)",
            [(generation, *letter) for letter in snapshot.replayed],
        )
        _write_output_rows(connection, generation, snapshot.output)
        return True

    def expire(self, generation: str, metric: str, before: int) -> None:
        with self._writing:
            self._writer.write(
                lambda connection: connection.execute(
                    "DELETE FROM rows WHERE partition IN (SELECT number FROM partitions WHERE generation = ?)"
                    " AND metric = ? AND bucket < ?",
                    [generation, metric, before],
                )
            )

    def expire_output_rows(self, generation: str, before: int) -> None:
        with self._writing:
            self._writer.write(
                lambda connection: connection.execute(
                    "DELETE FROM output_rows WHERE time < ?"
                    " AND partition IN (SELECT number FROM partitions WHERE generation = ?)",
                    [before, generation],
                )
            )

    def rows(
        self, generation: str, metric: str, since: int | None, until: int | None
    ) -> Iterator[tuple[int, str, Any]]:
        found = self._reader.stream(
            "SELECT bucket, key, state FROM rows"
            " WHERE partition IN (SELECT number FROM partitions WHERE generation = ?) AND metric = ?"
            " AND bucket >= ifnull(?, bucket) AND bucket < ifnull(?, bucket + 1) ORDER BY bucket",
            [generation, metric, since, until],
        )
        return ((bucket, key, unpacked(state)) for bucket, key, state in found)

    def output_rows(self, generation: str, partitions: Sequence[str]) -> Iterator[OutputRow]:
        for partition in partitions:
            found = self._reader.stream(
                'SELECT output_rows."offset", output_rows."index", row'
                " FROM partitions JOIN output_rows ON output_rows.partition = number"
                " WHERE generation = ? AND partitions.partition = ?"
                ' ORDER BY output_rows."offset", output_rows."index"',
                [generation, partition],
            )
            for offset, index, row in found:
                yield OutputRow(partition, offset, index, row)

    def _number(self, connection: sqlite3.Connection, generation: str, partition: str) -> int:
        """The number that rows know a partition by; it never changes."""
        if (generation, partition) not in self._numbers:
            (number,) = connection.execute(
                "SELECT number FROM partitions WHERE generation = ? AND partition = ?",
                [generation, partition],
            ).fetchone()
            self._numbers[generation, partition] = number
        return self._numbers[generation, partition]


def _current(connection: sqlite3.Connection, pipeline: str) -> Generation | None:
    row = connection.execute(
        "SELECT id, start, started, definition, retired, origin FROM generations"
        " WHERE pipeline = ? AND current",
        [pipeline],
    ).fetchone()
    if row is None:
        return None
    identity, start, started, definition, retired, origin = row
    succeeded = connection.execute(
        "SELECT 1 FROM partitions WHERE generation = ? AND consumed > dead LIMIT 1", [identity]
    ).fetchone()
    return Generation(
        pipeline=pipeline,
        definition=Definition.from_json(definition),
        start=start,
        retired=json.loads(retired),
        id=identity,
        started=bool(started),
        succeeded=succeeded is not None,
        origin=origin and json.loads(origin),
    )


def _write_output_rows(connection: sqlite3.Connection, generation: str, batches: Iterable[bytes]) -> None:
    for packed in batches:
        batch: OutputRows = payloads.unpack(packed)
        found = connection.execute(
            "SELECT number FROM partitions WHERE generation = ? AND partition = ?",
            [generation, batch["partition"]],
        ).fetchone()
        if found:  # else somebody has made up a letter of a partition that was never read, and replayed it
            times = repeat(None) if batch["times"] is None else batch["times"]
            connection.executemany(
                "INSERT OR REPLACE INTO output_rows VALUES (?, ?, ?, ?, ?)",
                zip(repeat(found[0]), batch["offsets"], batch["indexes"], times, batch["rows"]),
            )


def _check_current(connection: sqlite3.Connection, generation: str) -> None:
    if not connection.execute("SELECT 1 FROM generations WHERE id = ? AND current", [generation]).fetchone():
        raise SupersededError("the pipeline was reset while it ran: run it again to count from the new start")


def _definition(generation: Generation) -> tuple[str, str]:
    return generation.definition.to_json(), json.dumps(generation.retired)


def _checkpoint(row: Sequence[Any]) -> Checkpoint:
    partition, shown, start, upto, flush, mark, meta, *ledger = row
    return Checkpoint(partition, shown, start, upto, flush, mark, meta, Ledger(*ledger))
