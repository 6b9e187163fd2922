"""The bytes of a log by position, whether it is plain, compressed, or only passes by."""

from __future__ import annotations

import abc
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

PIECE = 256 << 10  # bytes that are decompressed at a time
COMPRESSED_PIECE = 64 << 10
GZIP_MAGIC = b"\x1f\x8b"
GZIP_FORMAT = 16 + zlib.MAX_WBITS


class Content(abc.ABC):
    """Bytes that can be read at rising positions, and perhaps at any.

    Where they end before they should, `damage` says so in words; `is_broken` if nothing that is added could
    mend it.
    """

    damage: str | None = None
    is_broken = False

    @abc.abstractmethod
    def read(self, position: int, size: int) -> bytes:
        """`size` bytes at `position`, or fewer where the content ends for now."""

    @abc.abstractmethod
    def extent(self, position: int) -> int:
        """`position`, or where the content ends for now, if that is before."""

    @abc.abstractmethod
    def file_size(self, position: int) -> int:
        """The least size of a file in which there was content up to `position`, which has been read."""

    def release(self, position: int) -> None:  # noqa: B027
        """What lies before `position` need not be held in memory any longer."""


class Plain(Content):
    """A file as it is. `descriptor` stays the caller's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, position: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, position)

    def extent(self, position: int) -> int:
        return min(position, os.fstat(self._descriptor).st_size)

    def file_size(self, position: int) -> int:
        return position


class Stream(Content):
    """Bytes that come in order; held are those from the last release on."""

    def __init__(self) -> None:
        self._start = 0
        self._held = bytearray()

    @property
    def end(self) -> int:
        """How far it has come."""
        return self._start + len(self._held)

    def read(self, position: int, size: int) -> bytes:
        if position < self._start:
            self.rewind()
        while self.end < position + size and (piece := self.more()):
            if self.end < position:
                self.release(self.end)
            self._held += piece
        begin = max(0, position - self._start)
        with memoryview(self._held) as held:
            return bytes(held[begin : position - self._start + size])

    def release(self, position: int) -> None:
        count = min(position - self._start, len(self._held))
        if count > 0:
            del self._held[:count]
            self._start += count

    def extent(self, position: int) -> int:
        self.read(position, 0)
        return min(position, self.end)

    def rewind(self) -> None:
        """Begin again at position 0."""
        self._start = 0
        self._held.clear()

    @abc.abstractmethod
    def more(self) -> bytes:
        """What comes next, or nothing where it ends for now."""


class Gzip(Stream):
    """A file of gzip members (RFC 1952), decompressed; zeros between members are padding. It may grow."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._begin()

    def rewind(self) -> None:
        super().rewind()
        self._begin()

    def file_size(self, position: int) -> int:
        return self._offset

    def _begin(self) -> None:
        self.damage = None
        self.is_broken = False
        self._offset = 0
        self._input = b""
        self._member: Any = None  # what decompresses it; None between members

    def more(self) -> bytes:
        while not self.is_broken:
            if not self._input:
                self._input = os.pread(self._descriptor, COMPRESSED_PIECE, self._offset)
                self._offset += len(self._input)
            is_end = not self._input
            if self._member is None:
                self._input = self._input.lstrip(b"\0")
                if self._input:
                    self._member = zlib.decompressobj(GZIP_FORMAT)
            data = self._decompress() if self._member is not None else b""
            if data:
                return data
            if is_end:
                unfinished = self._member is not None
                self.damage = (
                    f"compressed data ends at decompressed position {self.end}" if unfinished else None
                )
                break
        return b""

    def _decompress(self) -> bytes:
        member = self._member
        before = member.copy()
        try:
            data: bytes = member.decompress(self._input, PIECE)
        except zlib.error:
            data = _until_error(before, self._input)
            self.is_broken = True
            self.damage = f"compressed data breaks at decompressed position {self.end + len(data)}"
            return data
        self._input = member.unconsumed_tail
        if member.eof:
            self._input = member.unused_data
            self._member = None
        return data


def _until_error(member: Any, data: bytes) -> bytes:
    """What comes before the error that `data` ends in; zlib gives nothing of a call that fails."""
    parts = []
    with suppress(zlib.error):
        for index in range(len(data)):
            parts.append(member.decompress(data[index : index + 1]))
    return b"".join(parts)


def content_of(descriptor: int) -> Content:
    """The content of a file by what it begins with, whatever its name is."""
    return Gzip(descriptor) if os.pread(descriptor, 2, 0) == GZIP_MAGIC else Plain(descriptor)


@contextmanager
def opened(path: str) -> Iterator[Content]:
    """The content of the file at `path`, to look at. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield content_of(descriptor)
    finally:
        os.close(descriptor)
