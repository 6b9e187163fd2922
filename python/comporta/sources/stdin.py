"""Standard input as a source: one partition that is new each run, and that cannot be read again."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from comporta.errors import SourceError
from comporta.payloads import AssignedPartition
from comporta.sources.content import PIECE, Stream
from comporta.sources.contract import Batch, Limits, Source
from comporta.sources.lines import Cutter

logger = logging.getLogger(__name__)


class Stdin(Source):
    """What comes from `descriptor`, which does not block, a line a record; offsets are positions in bytes."""

    def __init__(self, descriptor: int, until_end: bool, limits: Limits) -> None:
        self._partition = f"stdin-{secrets.token_hex(6)}"
        self._descriptor = descriptor
        self._until_end = until_end
        self._content = _Pipe(descriptor)
        self._cutter = Cutter(self._content, 0, limits)
        self._is_assigned = False
        self._is_sought = False
        self._is_done = False
        self._ends: list[tuple[str, int]] = []

    def discover(self) -> list[AssignedPartition]:
        if self._is_assigned:
            return []
        self._is_assigned = True
        return [AssignedPartition(partition=self._partition, shown="-", start=0, meta=b"")]

    def is_listed(self) -> bool:
        return True

    def seek(self, partition: str, offset: int) -> None:
        if offset != self._cutter.position:
            raise SourceError(
                f"stdin was read up to position {self._cutter.position}, and cannot be read again"
                f" from {offset}: read a file instead, which can"
            )
        self._is_sought = True

    def read(self) -> Batch | None:
        if not self._is_sought or self._is_done:
            return None
        is_final = self._content.is_ended
        slice = self._cutter.next(None, is_final)
        if slice:
            return Batch(self._partition, "-", **vars(slice))
        if is_final:
            self._is_done = True
            logger.info("stdin has ended")
            if self._until_end:
                self._ends.append((self._partition, self._cutter.position))
        return None

    def ends(self) -> list[tuple[str, int]]:
        ends, self._ends = self._ends, []
        return ends

    def descriptors(self) -> Sequence[int]:
        return [self._descriptor] if self._is_sought and not self._content.is_ended else []


class _Pipe(Stream):
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.is_ended = False

    def more(self) -> bytes:
        try:
            data = os.read(self._descriptor, PIECE)
        except BlockingIOError:
            return b""
        self.is_ended = not data
        return data

    def file_size(self, position: int) -> int:
        return position


def open_stdin(path: str | None) -> int:
    """A descriptor of its own for another process's stdin, by its path `/proc/PID/fd/0`. Raises
    `SourceError`.
    """
    if not path:
        raise SourceError("there is no stdin to read: `comporta run` hands its own on")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise SourceError(
            f"cannot open stdin: {error.strerror}; `cat ... | comporta run` always works"
        ) from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.lseek(descriptor, _position(path), os.SEEK_SET)
    return descriptor


def _position(path: str) -> int:
    """How far the other process's file has been read, as the kernel says."""
    try:
        fields = Path(path.replace("/fd/", "/fdinfo/")).read_text().split()
    except OSError:
        return 0
    return int(fields[fields.index("pos:") + 1])
