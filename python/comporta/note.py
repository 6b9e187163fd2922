"""The note of a careful attempt: which record user code is given next, for the BEAM to read after a death."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

RANGE = struct.Struct(">QQ")
SUM = struct.Struct(">I")
NOTHING = bytes(RANGE.size + SUM.size)


class Note:
    """A file of the BEAM's, mapped into memory, so that what is written outlives this process.

    It is mapped, not written through a descriptor: user code may have closed that, and opened a file of its
    own in its place. A forked child that goes on where its parent was writes nothing.
    """

    def __init__(self, path: str) -> None:
        """Raises `OSError` or `ValueError` where the file cannot be mapped."""
        with Path(path).open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), len(NOTHING))
        self._process = os.getpid  # as it is now, before user code runs
        self._owner = os.getpid()

    def along(self, inputs: Iterable[Any], starts: Sequence[int], first: int, next: int) -> Iterator[Any]:
        """Each input, handed out once it is noted where its record starts and the next one does."""
        bounds = [first, *starts[1:], next]
        for value, begin, end in zip(inputs, bounds, bounds[1:], strict=False):
            range = RANGE.pack(begin, end)
            self._write(range + SUM.pack(zlib.crc32(range)))
            yield value
        self._write(NOTHING)

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()

    def _write(self, content: bytes) -> None:
        if self._process() == self._owner:
            self._map[:] = content


def opened(path: bytes | None) -> Note | None:
    """The note at that path; None where there is none, or it cannot be had: an attempt goes on without."""
    if path is None:
        return None
    try:
        return Note(os.fsdecode(path))
    except (OSError, ValueError):
        return None
