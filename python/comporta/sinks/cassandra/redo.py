"""What a flush changes, in chunks: enough to apply it again, by whoever comes next.

A chunk is an LZ4 block (with its length before it) of a msgpack list of packed parts: `["rows", metric,
buckets, keys, states]`, `["letters", letters]` and `["replayed", letter identities]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cramjam

from comporta import payloads
from comporta.letters import LetterId
from comporta.payloads import Letter
from comporta.sinks.contract import Cell, Snapshot

CHUNK = 1 << 20  # bytes at which a chunk is full, before it is compressed
PART_ROWS = 1024
PART_LETTERS = 16
MOST = 4 << 20  # bytes of a part that is cut in two, as long as it has two rows


@dataclass
class Changes:
    """What is to be applied: rows as whole values by metric and cell, letters, letters that were replayed."""

    rows: dict[str, dict[Cell, Any]] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    replayed: set[LetterId] = field(default_factory=set)


def chunks(snapshot: Snapshot) -> Iterator[bytes]:
    """The snapshot's changes, in chunks that a row of Cassandra can hold."""
    parts: list[bytes] = []
    size = 0
    for part in _parts(snapshot.rows, snapshot.letters, snapshot.replayed):
        if parts and size + len(part) > CHUNK:
            yield _compressed(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield _compressed(parts)


def changes(data: Iterable[bytes]) -> Changes:
    """What `chunks` cut up."""
    whole = Changes()
    for chunk in data:
        for packed in payloads.unpack(bytes(cramjam.lz4.decompress_block(chunk))):
            kind, *content = payloads.unpack(packed)
            if kind == "rows":
                metric, buckets, keys, states = content
                rows = whole.rows.setdefault(metric, {})
                rows.update(zip(zip(buckets, keys, strict=True), states, strict=True))
            elif kind == "letters":
                whole.letters += map(_letter, content[0])
            else:
                whole.replayed.update(
                    (partition, offset, attempt) for partition, offset, attempt in content[0]
                )
    return whole


def _compressed(parts: list[bytes]) -> bytes:
    return bytes(cramjam.lz4.compress_block(payloads.pack(parts)))


def _parts(
    rows: Mapping[str, Mapping[Cell, Any]], letters: Sequence[Letter], replayed: Iterable[LetterId]
) -> Iterator[bytes]:
    for metric, cells in rows.items():
        items = iter(cells.items())
        while some := list(islice(items, PART_ROWS)):
            yield from _rows(metric, some)
    for first in range(0, len(letters), PART_LETTERS):
        yield payloads.pack(["letters", letters[first : first + PART_LETTERS]])
    if replayed:
        yield payloads.pack(["replayed", sorted(replayed)])


def _rows(metric: str, items: list[tuple[Cell, Any]]) -> Iterator[bytes]:
    buckets, keys = zip(*(cell for cell, _ in items), strict=True)
    part = payloads.pack(["rows", metric, buckets, keys, [state for _, state in items]])
    if len(part) <= MOST or len(items) == 1:
        yield part
    else:
        yield from _rows(metric, items[: len(items) // 2])
        yield from _rows(metric, items[len(items) // 2 :])


def _letter(letter: Letter) -> Letter:
    """A letter as it was: msgpack knows lists only."""
    letter["headers"] = [(name, value) for name, value in letter["headers"]]
    return letter
