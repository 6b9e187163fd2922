"""Rows of metrics in SQLite: many of them a statement, and their states as columns."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from comporta import payloads
from comporta.sinks.contract import Cell

# Rows of one statement, most first. Each statement lets go of the interpreter, which others may keep for a
# while; and each number of rows is a statement to be parsed.
ROWS_AT_ONCE = (256, 64, 16, 4, 1)


def read_rows(
    connection: sqlite3.Connection, place: tuple[int, str], cells: Sequence[Cell]
) -> dict[Cell, Any]:
    """The states of those cells that have one; `place` is the number of a partition, and a metric."""
    found: dict[Cell, Any] = {}
    for bucket, some in groupby(sorted(cells), itemgetter(0)):
        keys = [key for _, key in some]
        for start, size in _parts(len(keys)):
            rows = connection.execute(_select(size), [*place, bucket, *keys[start : start + size]])
            found.update(((bucket, key), unpacked(state)) for key, state in rows)
    return found


def write_rows(connection: sqlite3.Connection, place: tuple[int, str, int], rows: Mapping[str, Any]) -> None:
    """Write rows by key, in the order in which they lie there: that of the keys' bytes, nearly."""
    keys = sorted(rows)
    columns: list[Any] = [None] * (2 * len(keys))
    columns[::2] = keys
    columns[1::2] = _columns(list(map(rows.__getitem__, keys)))
    for start, size in _parts(len(keys)):
        connection.execute(_insert(size), [*place, *columns[2 * start : 2 * (start + size)]])


def _parts(rows: int) -> Iterator[tuple[int, int]]:
    """Where each statement's rows start, and how many it has."""
    start = 0
    for size in ROWS_AT_ONCE:
        while rows - start >= size:
            yield start, size
            start += size


@lru_cache
def _select(rows: int) -> str:
    """What reads so many rows of one place."""
    place = "partition = ? AND metric = ? AND bucket = ?"
    return f"SELECT key, state FROM rows WHERE {place} AND key IN ({', '.join('?' * rows)})"


@lru_cache
def _insert(rows: int) -> str:
    """What writes so many rows of one place. Parsed once: the connection keeps statements, too."""
    values = ", ".join(f"(?1, ?2, ?3, ?{4 + 2 * row}, ?{5 + 2 * row})" for row in range(rows))
    return f"INSERT OR REPLACE INTO rows (partition, metric, bucket, key, state) VALUES {values}"


def _columns(states: list[Any]) -> list[Any]:
    """States as `_packed` makes columns of them."""
    if set(map(type, states)) == {int} and min(states) >= -(2**63) and max(states) < 2**63:
        return states
    return list(map(_packed, states))


def _packed(state: Any) -> Any:
    """A state as a column: a number as itself, for people to read, if SQLite can hold it, else msgpack."""
    number = (type(state) is int and -(2**63) <= state < 2**63) or (
        type(state) is float and math.isfinite(state)
    )
    return state if number else payloads.pack(state)


def unpacked(column: Any) -> Any:
    """The state that is such a column."""
    return payloads.unpack(column) if isinstance(column, bytes) else column
