"""Whole lines, cut off a content as batches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from comporta.sources.content import Content
from comporta.sources.contract import OVERSIZED_HEAD, Format, Limits

FINGERPRINT = 1024  # bytes before a position, or at a file's beginning, that tell one content from another


@dataclass(frozen=True)
class Slice:
    """A batch's worth of a content: `count` records in [first, next)."""

    format: Format
    base: int
    first: int
    next: int
    count: int
    payload: bytes | memoryview
    mark: bytes


def fingerprint(data: bytes) -> bytes:
    """What tells these bytes from others, in 16 bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


def mark_at(content: Content, position: int) -> bytes:
    """The fingerprint of the KiB before `position`."""
    start = max(0, position - FINGERPRINT)
    return fingerprint(content.read(start, position - start))


class Cutter:
    """Cuts a content from `position` on into batches of whole lines, each beginning where the one before
    ended.

    A line longer than a batch is a batch of its own; of one longer than a record may be, the beginning is
    kept and the rest passes by without being held. Where `position` is within a line, as the beginning of an
    unfinished line was handed out, its rest is a line (`is_torn`); but no line is made of a rest that is
    nothing but the line's end.
    """

    def __init__(self, content: Content, position: int, limits: Limits) -> None:
        self._content = content
        self._limits = limits
        self._base: int | None = None  # where the next line begins; None: not known yet
        self._searched = position  # in a line longer than a batch: it does not end before that
        self._head: bytes | None = None  # of a line longer than a record may be
        self.position = position
        self.is_torn = False

    def next(self, until: int | None, is_final: bool) -> Slice | None:
        """The next batch: of lines that begin before `until`, if that is given; None where the content ends
        for now.

        A last line without an end is given only if it `is_final`, and the content is not damaged.
        """
        if until is not None and self.position >= until:
            return None
        base = self._base = self._find_base() if self._base is None else self._base
        if base is None:
            return None
        if self._searched <= base:
            data = self._content.read(base, self._limits.batch_bytes)
            if length := _length_of_lines(data, None if until is None else until - base):
                length, count = _at_most(self._limits.batch_records, data, length)
                return self._slice("lines", base, length, count, memoryview(data)[:length])
            if len(data) < self._limits.batch_bytes:
                is_given = is_final and self._content.damage is None and (data or base > self.position)
                return self._slice("lines", base, len(data), 1 if data else 0, data) if is_given else None
            self._searched = base + len(data)
        return self._long_line(base, is_final)

    def _find_base(self) -> int | None:
        position = self.position
        if position == 0 or self._content.read(position - 1, 1) == b"\n":
            return position
        following = self._content.read(position, 1)
        self.is_torn = following not in (b"", b"\n")
        return position + (following == b"\n") if following else None

    def _long_line(self, base: int, is_final: bool) -> Slice | None:
        while True:
            data = self._content.read(self._searched, self._limits.batch_bytes)
            end = data.find(b"\n") + 1
            self._searched += end or len(data)
            length = self._searched - base
            if self._head is None and length > self._limits.max_record:
                self._head = self._content.read(base, min(length, OVERSIZED_HEAD))
            if self._head is not None:
                self._content.release(self._searched - FINGERPRINT)
            if end or (not data and is_final and self._content.damage is None):
                if self._head is not None:
                    return self._slice("oversized", base, length, 1, self._head)
                return self._slice("lines", base, length, 1, self._content.read(base, length))
            if not data:
                return None

    def _slice(
        self, format: Format, base: int, length: int, count: int, payload: bytes | memoryview
    ) -> Slice:
        first, next = self.position, base + length
        self.position = self._base = self._searched = next
        self._head = None
        mark = self._mark(base, next, payload) if format == "lines" else mark_at(self._content, next)
        self._content.release(next - FINGERPRINT)
        return Slice(format, base, first, next, count, payload, mark)

    def _mark(self, base: int, next: int, lines: bytes | memoryview) -> bytes:
        """The fingerprint of the KiB before `next`, where the lines that begin at `base` end.

        It is of the lines as they were read: the file may have been truncated since.
        """
        start = max(0, next - FINGERPRINT)
        before = self._content.read(start, base - start) if start < base else b""
        return fingerprint(before + bytes(lines[max(0, start - base) :]))


def _at_most(lines: int, data: bytes, length: int) -> tuple[int, int]:
    """The length of the first `lines` lines of those in `data[:length]`, and how many they are."""
    count = data.count(b"\n", 0, length)
    if count <= lines:
        return length, count
    end = 0
    for _ in range(lines):
        end = data.index(b"\n", end) + 1
    return end, lines


def _length_of_lines(data: bytes, until: int | None) -> int:
    """How much of `data` is whole lines: all of them, or those that begin before the index `until`."""
    if until is not None and until <= len(data) and (length := data.find(b"\n", until - 1) + 1):
        return length
    return data.rfind(b"\n") + 1
