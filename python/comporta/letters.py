"""Dead letters: kept for reading, and appended to the replay log to be counted after all.

A letter's identity is its source position and its attempt. Replaying one that fails again makes a letter of
the next attempt; replaying one twice is harmless, as the sink remembers which replays have taken effect.
"""

from __future__ import annotations

import abc
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from comporta import payloads
from comporta.database import Database, database_path
from comporta.errors import UsageError
from comporta.payloads import Letter

LetterId = tuple[str, int, int]
"""A dead letter's identity within a generation: source partition, offset and attempt."""


class LetterStore(abc.ABC):
    """One generation's dead letters and its replay log; `python/tests/letters_contract.py` tests it.

    Letters are written by a sink's flush, which decides them together with everything else that it holds.
    """

    @abc.abstractmethod
    def letters(self) -> Iterator[Letter]:
        """Every letter once, by source partition, offset and attempt."""

    @abc.abstractmethod
    def find(self, identity: LetterId) -> Letter | None:
        """The letter of that identity."""

    @abc.abstractmethod
    def replay(self, identities: Sequence[LetterId]) -> None:
        """Append these letters, all of which exist, to the replay log."""

    @abc.abstractmethod
    def replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        """The next entries of the replay log after `sequence` (0: all), with their sequences."""


COLUMNS = (
    "partition", "offset", "attempt", "next", "shown", "reason", "error", "traceback", "value", "length",
    "key", "headers", "timestamp", "at",
)  # fmt: skip
QUOTED = ", ".join(f'letters."{column}"' for column in COLUMNS)


def open_letters(url: str, generation: str, dead: str | None = None, pipeline: str = "") -> LetterStore:
    """The dead letters of one generation of `pipeline`: in the topic `dead`, if that is one, else in the
    store that `url` names, `sqlite:PATH`.
    """
    return SQLiteLetters(url, generation)


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


def _letter(row: Sequence[Any]) -> Letter:
    columns: Any = dict(zip(COLUMNS, row, strict=True))
    columns["headers"] = [(name, value) for name, value in payloads.unpack(columns["headers"])]
    letter: Letter = columns
    return letter


def identity(letter: Letter) -> LetterId:
    """What tells this letter from all others of its generation."""
    return letter["partition"], letter["offset"], letter["attempt"]


def to_text(identity: LetterId) -> str:
    """How people write a letter's identity: `PARTITION:OFFSET:ATTEMPT`."""
    return ":".join(map(str, identity))


def from_text(text: str) -> LetterId:
    """The identity that people wrote. Raises `UsageError` where it is not one."""
    try:
        partition, offset, attempt = text.rsplit(":", 2)
        return partition, int(offset), int(attempt)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a dead letter's id; it is PARTITION:OFFSET:ATTEMPT, see `comporta dead list`"
        ) from None
