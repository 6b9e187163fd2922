"""Dead letters and the replay log in the tables of an SQLite store, where a sink's flush writes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from comporta import payloads
from comporta.database import Database, database_path
from comporta.letters.contract import LetterId, LetterStore
from comporta.payloads import Letter

COLUMNS = (
    "partition", "offset", "attempt", "next", "shown", "reason", "error", "traceback", "value", "length",
    "key", "headers", "timestamp", "at", "code",
)  # fmt: skip
QUOTED = ", ".join(f'letters."{column}"' for column in COLUMNS)


class SQLiteLetters(LetterStore):
    """Letters in the tables of an SQLite store."""

    def __init__(self, url: str, generation: str) -> None:
        self._database = Database(database_path(url), create=False, durable=True)
        self._generation = generation

    def letters(self) -> Iterator[Letter]:
        found = self._database.stream(
            f'SELECT {QUOTED} FROM letters WHERE generation = ? ORDER BY partition, "offset", attempt',
            [self._generation],
        )
        return map(_letter, found)

    def find(self, identity: LetterId) -> Letter | None:
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {QUOTED} FROM letters"
                ' WHERE generation = ? AND partition = ? AND "offset" = ? AND attempt = ?',
                [self._generation, *identity],
            ).fetchone()
        )
        return _letter(row) if row else None

    def replay(self, identities: Sequence[LetterId]) -> None:
        self._database.write(
            lambda connection: connection.executemany(
                'INSERT INTO replay_log (generation, partition, "offset", attempt) VALUES (?, ?, ?, ?)',
                [(self._generation, *identity) for identity in identities],
            )
        )

    def replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        rows = self._database.read(
            lambda connection: connection.execute(
                f"SELECT sequence, {QUOTED} FROM replay_log"
                ' JOIN letters USING (generation, partition, "offset", attempt)'
                " WHERE generation = ? AND sequence > ? ORDER BY sequence LIMIT ?",
                [self._generation, sequence, limit],
            ).fetchall()
        )
        return [(sequence, _letter(columns)) for sequence, *columns in rows]


def write_letters(connection: sqlite3.Connection, generation: str, letters: Iterable[Letter]) -> None:
    """Write letters as part of a flush's transaction."""
    columns = ", ".join(f'"{column}"' for column in COLUMNS)
    marks = ", ".join("?" for _ in COLUMNS)
    connection.executemany(
        f"INSERT OR REPLACE INTO letters (generation, {columns}) VALUES (?, {marks})",
        [
            (
                generation,
                *({**letter, "headers": payloads.pack(letter["headers"])}[column] for column in COLUMNS),
            )
            for letter in letters
        ],
    )


def some_letters(connection: sqlite3.Connection, generation: str, limit: int) -> list[Letter]:
    """Some letters of a generation, in no order."""
    rows = connection.execute(
        f"SELECT {QUOTED} FROM letters WHERE generation = ? LIMIT ?", [generation, limit]
    ).fetchall()
    return [_letter(row) for row in rows]


def delete_letters(connection: sqlite3.Connection, generation: str, identities: Iterable[LetterId]) -> None:
    """Delete letters that are kept elsewhere by now."""
    connection.executemany(
        'DELETE FROM letters WHERE generation = ? AND partition = ? AND "offset" = ? AND attempt = ?',
        [(generation, *identity) for identity in identities],
    )


def _letter(row: Sequence[Any]) -> Letter:
    columns: Any = dict(zip(COLUMNS, row, strict=True))
    columns["headers"] = [(name, value) for name, value in payloads.unpack(columns["headers"])]
    letter: Letter = columns
    return letter
