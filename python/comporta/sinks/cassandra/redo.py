"""What a flush changes, written down: enough to apply it again, by whoever comes next.

It is a sequence of frames, cut into chunks of equal size wherever that falls, so that no row, letter or
header is too large for it. A frame is its length (4 bytes, big-endian) and an LZ4 block (which begins with
its own length) of a msgpack list of packed parts: `["rows", metric, buckets, keys, states]`, `["letters",
letters]`, `["replayed", letter identities]` and `["output", packed rows]`.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cramjam

from comporta import payloads
from comporta.letters import LetterId
from comporta.payloads import Letter
from comporta.sinks.contract import RowsOfMetric, Snapshot

CHUNK = 512 << 10  # bytes
FRAME = 1 << 20  # bytes at which a frame is full, before it is compressed
PART_ROWS = 1024
LENGTH = struct.Struct(">I")

Rows = dict[int, dict[str, Any]]
"""Packed states by bucket and key."""


@dataclass
class Changes:
    """What is to be applied, as a `Snapshot` has it."""

    rows: dict[str, RowsOfMetric] = field(default_factory=dict)
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
    whole, rows = Changes(), defaultdict[str, Rows](lambda: defaultdict(dict))
    while data:
        (length,) = LENGTH.unpack_from(data)
        frame, data = data[LENGTH.size : LENGTH.size + length], data[LENGTH.size + length :]
        for part in payloads.unpack(bytes(cramjam.lz4.decompress_block(frame))):
            _add(whole, rows, *payloads.unpack(part))
    whole.rows.update(rows)
    return whole


def _add(whole: Changes, rows: dict[str, Rows], kind: str, *content: Any) -> None:
    if kind == "rows":
        metric, buckets, keys, states = content
        for bucket, key, state in zip(buckets, keys, states, strict=True):
            rows[metric][bucket][key] = state
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
    for metric, buckets in snapshot.rows.items():
        for bucket, rows in buckets.items():
            keys, states = list(rows), list(rows.values())
            for start in range(0, len(keys), PART_ROWS):
                some = keys[start : start + PART_ROWS]
                these = states[start : start + PART_ROWS]
                yield payloads.pack(["rows", metric, [bucket] * len(some), some, these])
    for letter in snapshot.letters:
        yield payloads.pack(["letters", [letter]])
    if snapshot.replayed:
        yield payloads.pack(["replayed", sorted(snapshot.replayed)])
    for batch in snapshot.output:
        yield payloads.pack(["output", batch])
