"""What a flush changes, written down: enough to apply it again, by whoever comes next.

It is a sequence of frames, cut into chunks of equal size wherever that falls, so that no row, letter or
header is too large for it. A frame is its length (4 bytes, big-endian) and an LZ4 block (which begins with
its own length) of a msgpack list of packed parts: `["rows", metric, buckets, keys, states]`, `["letters",
letters]`, `["replayed", letter identities]` and `["output", packed rows]`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cramjam

from comporta import payloads
from comporta.letters import LetterId
from comporta.payloads import Letter
from comporta.sinks.contract import Cell, Snapshot

CHUNK = 512 << 10  # bytes
FRAME = 1 << 20  # bytes at which a frame is full, before it is compressed
PART_ROWS = 1024
LENGTH = struct.Struct(">I")


@dataclass
class Changes:
    """What is to be applied: rows as whole values by metric and cell, letters, letters that were replayed.

    `output` are output rows, packed as a `Snapshot` has them.
    """

    rows: dict[str, dict[Cell, Any]] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    replayed: set[LetterId] = field(default_factory=set)
    output: list[bytes] = field(default_factory=list)


def chunks(snapshot: Snapshot) -> Iterator[bytes]:
    """The snapshot's changes."""
    waiting = bytearray()
    for frame in _frames(_parts(snapshot)):
        waiting += frame
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)


def changes(chunks: Iterable[bytes]) -> Changes:
    """What `chunks` cut up."""
    data = memoryview(b"".join(chunks))
    whole = Changes()
    while data:
        (length,) = LENGTH.unpack_from(data)
        frame, data = data[LENGTH.size : LENGTH.size + length], data[LENGTH.size + length :]
        for part in payloads.unpack(bytes(cramjam.lz4.decompress_block(frame))):
            _add(whole, *payloads.unpack(part))
    return whole


def _add(whole: Changes, kind: str, *content: Any) -> None:
    if kind == "rows":
        metric, buckets, keys, states = content
        rows = whole.rows.setdefault(metric, {})
        rows.update(zip(zip(buckets, keys, strict=True), states, strict=True))
    elif kind == "letters":
        whole.letters += map(_letter, content[0])
    elif kind == "output":
        whole.output.append(content[0])
    else:
        whole.replayed.update(map(tuple, content[0]))


def _letter(letter: Letter) -> Letter:
    """A letter as it was: msgpack knows lists only."""
    letter["headers"] = [(name, value) for name, value in letter["headers"]]
    return letter


def _frames(parts: Iterable[bytes]) -> Iterator[bytes]:
    frame: list[bytes] = []
    size = 0
    for part in parts:
        frame.append(part)
        size += len(part)
        if size >= FRAME:
            yield _frame(frame)
            frame, size = [], 0
    if frame:
        yield _frame(frame)


def _frame(parts: list[bytes]) -> bytes:
    block = bytes(cramjam.lz4.compress_block(payloads.pack(parts)))
    return LENGTH.pack(len(block)) + block


def _parts(snapshot: Snapshot) -> Iterator[bytes]:
    for metric, cells in snapshot.rows.items():
        items = iter(cells.items())
        while some := list(islice(items, PART_ROWS)):
            buckets, keys = zip(*(cell for cell, _ in some), strict=True)
            yield payloads.pack(["rows", metric, buckets, keys, [state for _, state in some]])
    for letter in snapshot.letters:
        yield payloads.pack(["letters", [letter]])
    if snapshot.replayed:
        yield payloads.pack(["replayed", sorted(snapshot.replayed)])
    for batch in snapshot.output:
        yield payloads.pack(["output", batch])
