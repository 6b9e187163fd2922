"""What a file holds, as a stream of bytes: plain or gzip, told by its first two bytes and not by its name."""

from __future__ import annotations

import abc
import os
import zlib
from pathlib import Path

from comporta.errors import SourceError

GZIP_MAGIC = b"\x1f\x8b"
PORTION = 256 * 1024
GZIP_WINDOW = zlib.MAX_WBITS | 16


class TruncatedError(SourceError):
    """Compressed data that ends in the middle: more of it may come."""


class Content(abc.ABC):
    """A stream of bytes with a position. Raises `SourceError` where the file cannot be read as what it seems
    to be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @abc.abstractmethod
    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end, which may move."""

    @abc.abstractmethod
    def seek(self, position: int) -> bytes:
        """Go on from `position`, which must not be beyond the end; returns the last KiB before it."""

    @abc.abstractmethod
    def end(self) -> int | None:
        """Where the content ends now; None where only reading tells."""

    def stat(self) -> os.stat_result:
        """What the system says of the open file."""
        return os.fstat(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class Plain(Content):
    """The bytes as they are."""

    def read(self, size: int) -> bytes:
        data = os.pread(self._descriptor, size, self.position)
        self.position += len(data)
        return data

    def seek(self, position: int) -> bytes:
        before = max(0, position - 1024)
        self.position = position
        return os.pread(self._descriptor, position - before, before)

    def end(self) -> int:
        return self.stat().st_size


class Gzip(Content):
    """The bytes that were compressed, through all members; positions are those of the decompressed bytes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._rewind()

    def _rewind(self) -> None:
        self.position = 0
        self._file_position = 0
        self._member = zlib.decompressobj(GZIP_WINDOW)
        self._input = b""
        self._begun = False

    def read(self, size: int) -> bytes:
        while True:
            if not self._input and not self._fill():
                return b""
            try:
                data = self._member.decompress(self._input, size)
            except zlib.error as error:
                raise SourceError(
                    f"{self.path}: compressed data is damaged at decompressed position {self.position}"
                    f" ({error}); what came before was read"
                ) from None
            self._begun = True
            self._input = self._member.unconsumed_tail
            if self._member.eof:
                # Members follow each other, with or without zeros between them.
                self._input = self._member.unused_data.lstrip(b"\0")
                self._member, self._begun = zlib.decompressobj(GZIP_WINDOW), False
            if data:
                self.position += len(data)
                return data

    def _fill(self) -> bool:
        self._input = os.pread(self._descriptor, PORTION, self._file_position)
        self._file_position += len(self._input)
        if self._input and not self._begun:
            self._input = self._input.lstrip(b"\0")
        if not self._input and self._begun:
            raise TruncatedError(
                f"{self.path}: compressed data ends in the middle, at decompressed position {self.position};"
                " what came before was read"
            )
        return bool(self._input)

    def seek(self, position: int) -> bytes:
        before = b""
        self._rewind()
        while self.position < position:
            data = self.read(min(PORTION, position - self.position))
            if not data:
                break
            before = (before + data)[-1024:]
        return before

    def end(self) -> None:
        return None


def open_content(path: Path) -> Content:
    """The content of a file. Raises `SourceError` where it cannot be opened."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == GZIP_MAGIC
        return (Gzip if compressed else Plain)(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
