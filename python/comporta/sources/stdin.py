"""Standard input as a source: a partition of its own in each run, which cannot be read a second time."""

from __future__ import annotations

import os
import secrets
import select

from comporta.errors import SourceError
from comporta.payloads import AssignedPartition
from comporta.sources.contract import Source, SourceBatch
from comporta.sources.lines import LineCutter

PATH = "COMPORTA_STDIN"


class Stdin(Source):
    """What the command was given on its standard input, by the path in `COMPORTA_STDIN`."""

    unit = "bytes"

    def __init__(self, size: int, longest: int) -> None:
        path = os.environ.get(PATH)
        try:
            self._descriptor = os.open(path or "", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceError(
                f"standard input cannot be read ({error.strerror}):"
                " `--source -` is for `comporta run` with a pipe or a file"
            ) from None
        self._partition = "stdin-" + secrets.token_hex(6)
        self._new = True
        self._ended = False
        self._assignment = 0
        self._position = 0
        self._told = False
        self._seeking = False
        self._cutter = LineCutter(self._read, 0, b"", size, longest)

    def _read(self, size: int) -> bytes:
        if self._ended or not select.select([self._descriptor], [], [], 0)[0]:
            return b""
        data = os.read(self._descriptor, size)
        self._ended = not data
        return data

    def discover(self) -> list[AssignedPartition]:
        new, self._new = self._new, False
        return [AssignedPartition(partition=self._partition, shown="-", start=0, meta=b"")] if new else []

    def seek(self, partition: str, assignment: int, offset: int) -> None:
        if offset != self._position:
            raise SourceError(
                f"standard input cannot be read again from position {offset}: what came after it is lost"
            )
        self._assignment = assignment
        self._seeking = True

    def read(self) -> SourceBatch | None:
        if not self._seeking:
            return None
        chunk = self._cutter.cut(final=self._ended) or (self._cutter.cut(final=True) if self._ended else None)
        if chunk is None:
            return None
        self._position = chunk.next
        return SourceBatch(partition=self._partition, shown="-", assignment=self._assignment, **vars(chunk))

    def reached(self) -> list[tuple[str, int]]:
        if not self._ended or self._told or self._cutter.pending:
            return []
        self._told = True
        return [(self._partition, self._position)]

    def ends(self) -> list[tuple[str, int]]:
        return []
