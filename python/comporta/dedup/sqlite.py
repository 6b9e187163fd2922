"""The embedded claim store: a table of an SQLite file, which may be the sink's.

Commits are not waited for until they are on the disk. A power cut can then undo claims, but where claims and
sink share a file, none that a durable flush relied on: its own commit makes everything before it in the
write-ahead log durable.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import time
from collections.abc import Sequence

from comporta.database import Database, database_path
from comporta.dedup.contract import DUPLICATE, FIRST, ClaimStore
from comporta.payloads import Claim

HASH_BYTES = 16  # ids that are not shorter are kept as hashes of this length, which no shorter id can equal
SWEPT_PER_CLAIM = 2  # rows looked at for each claim, so that the expired are gone before half as many come

# A row that has expired is taken over; one that has not stays as it is, and the statement changes nothing.
TAKE = """
INSERT INTO claims (generation, id, partition, "offset", expires) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (generation, id) DO UPDATE
SET partition = excluded.partition, "offset" = excluded."offset", expires = excluded.expires
WHERE expires <= ?
"""
TABLE_START = (0, b"")
HOLDER = 'SELECT partition, "offset" FROM claims WHERE generation = ? AND id = ?'
SWEEP = """
SELECT generation, id, expires FROM claims WHERE (generation, id) > (?, ?) ORDER BY generation, id LIMIT ?
"""


class SQLiteClaims(ClaimStore):
    """Claims in an SQLite file, which is made if it is missing; they last `within` seconds, rounded up."""

    def __init__(self, url: str, generation: str, within: float) -> None:
        self._database = Database(database_path(url), create=True, durable=False)
        self._within = within
        self._numbers: dict[str, int] = {}
        self._generation = generation
        self._swept = TABLE_START

    def claim(self, claims: Sequence[Claim]) -> bytes:
        self._number([self._generation, *(partition for _, partition, _ in claims)])
        return self._database.write(lambda connection: self._claim(connection, claims))

    def _claim(self, connection: sqlite3.Connection, claims: Sequence[Claim]) -> bytes:
        now = time.time()
        expires = math.ceil(now + self._within)
        generation = self._numbers[self._generation]
        answer = bytearray()
        for event, partition, offset in claims:
            position = (self._numbers[partition], offset)
            event = (
                event if len(event) < HASH_BYTES else hashlib.blake2b(event, digest_size=HASH_BYTES).digest()
            )
            taken = connection.execute(TAKE, (generation, event, *position, expires, now)).rowcount
            first = taken or connection.execute(HOLDER, (generation, event)).fetchone() == position
            answer.append(FIRST if first else DUPLICATE)
        self._sweep(connection, SWEPT_PER_CLAIM * len(claims), now)
        return bytes(answer)

    def _sweep(self, connection: sqlite3.Connection, limit: int, now: float) -> None:
        """Delete what has expired in the next part of the table, round and round; an index costs more."""
        rows = connection.execute(SWEEP, (*self._swept, limit)).fetchall()
        expired = [(generation, event) for generation, event, expires in rows if expires <= now]
        connection.executemany("DELETE FROM claims WHERE generation = ? AND id = ?", expired)
        self._swept = rows[-1][:2] if len(rows) == limit and rows else TABLE_START

    def _number(self, names: Sequence[str]) -> None:
        """Learn the small numbers for names of generations and partitions, which every claim carries."""

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            connection.executemany("INSERT OR IGNORE INTO names (name) VALUES (?)", [(name,) for name in new])
            return {
                name: connection.execute("SELECT number FROM names WHERE name = ?", [name]).fetchone()[0]
                for name in new
            }

        new = set(names) - self._numbers.keys()
        if new:
            self._numbers.update(self._database.write(work))
