"""Whole lines out of a stream of bytes, without looking at more than where they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

FINGERPRINT = 1024
"""Bytes of content that a fingerprint covers."""

OVERSIZED_HEAD = 64 * 1024
"""Bytes that are kept of a line too long for a frame."""


@dataclass(frozen=True)
class Chunk:
    """Whole lines, or the beginning of one that is too long, and the range of positions that they cover."""

    format: Literal["lines", "oversized"]
    first: int
    next: int
    count: int
    payload: bytes
    mark: bytes


class LineCutter:
    """Cuts what `read(size)` returns, from `position` on, into chunks of whole lines of about `size` bytes.

    `before` is what lies before `position`, its last KiB at least. Of a line longer than `longest` the first
    64 KiB are kept and the rest is passed over as it is read.
    """

    def __init__(
        self, read: Callable[[int], bytes], position: int, before: bytes, size: int, longest: int
    ) -> None:
        self._read = read
        self._tail = before[-FINGERPRINT:]
        self._size = min(size, longest)
        self._longest = longest
        self._buffer = bytearray()
        self._first = position
        self._head: bytes | None = None
        self._passed = 0

    def cut(self, final: bool) -> Chunk | None:
        """The next chunk, or None where there is none yet; `final` if what has no line end will not get
        one."""
        while True:
            chunk = self._pass_over() if self._head is not None else self._whole_lines()
            if chunk:
                return chunk
            data = self._read(self._size)
            if not data:
                return self._rest() if final else None
            self._buffer += data

    @property
    def pending(self) -> bool:
        """Whether something was read that is not part of a chunk yet."""
        return bool(self._buffer) or self._head is not None

    def _whole_lines(self) -> Chunk | None:
        end = self._buffer.rfind(b"\n", 0, self._size) + 1 or self._buffer.find(b"\n", self._size) + 1
        if end > self._longest or (not end and len(self._buffer) > self._longest):
            self._head = bytes(self._buffer[: min(end or len(self._buffer), OVERSIZED_HEAD)])
            return self._pass_over()
        return self._take(end) if end else None

    def _pass_over(self) -> Chunk | None:
        end = self._buffer.find(b"\n") + 1
        passed = end or len(self._buffer)
        self._remember(
            self._buffer[-FINGERPRINT:] if not end else self._buffer[max(0, end - FINGERPRINT) : end]
        )
        del self._buffer[:passed]
        self._passed += passed
        return self._oversized() if end else None

    def _oversized(self) -> Chunk:
        assert self._head is not None
        first, self._first = self._first, self._first + self._passed
        head, self._head, self._passed = self._head, None, 0
        return Chunk("oversized", first, self._first, 1, head, fingerprint(self._tail))

    def _rest(self) -> Chunk | None:
        if self._head is not None:
            return self._oversized()
        return self._take(len(self._buffer)) if self._buffer else None

    def _take(self, end: int) -> Chunk:
        with memoryview(self._buffer) as view:
            payload = bytes(view[:end])
        del self._buffer[:end]
        self._remember(payload[-FINGERPRINT:])
        first, self._first = self._first, self._first + end
        count = payload.count(b"\n") + (not payload.endswith(b"\n"))
        return Chunk("lines", first, self._first, count, payload, fingerprint(self._tail))

    def _remember(self, data: bytes | bytearray) -> None:
        self._tail = (self._tail + bytes(data))[-FINGERPRINT:]


def fingerprint(content: bytes) -> bytes:
    """What tells a KiB of content from another one."""
    return blake2b(content, digest_size=16).digest()
