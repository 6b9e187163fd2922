"""A log file as a partition: opened while it is read, and checked to be the same file still."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from comporta.sources.content import GZIP_MAGIC, Content, Gzip, content_of, opened
from comporta.sources.contract import Limits
from comporta.sources.identity import Trace, identify
from comporta.sources.lines import FINGERPRINT, Cutter, Slice
from comporta.sources.listing import Place

logger = logging.getLogger(__name__)


class Lost(Exception):
    """The file that is there is not the one that was read; the text says why, as the rest of a sentence about
    it.
    """


class LogFile:
    """A partition, and the file that it is read from; `place` is None while there is none."""

    def __init__(self, partition: str, shown: str, trace: Trace, limits: Limits) -> None:
        self.partition = partition
        self.shown = shown
        self.identity = trace.identity
        self.position = trace.position
        self.mark = trace.mark
        self.durable = trace.position
        self.place: Place | None = None
        self.head = b""
        self.is_compressed = False
        self.until: int | None = None
        self.is_sought = False
        self._limits = limits
        self._seen: tuple[int, int] | None = None  # its size and time when it was last read, to its end
        self._descriptor: int | None = None
        self._content: Content | None = None
        self._cutter: Cutter | None = None

    @property
    def trace(self) -> Trace:
        """What its file is known again by."""
        return Trace(self.identity, self.position, self.mark)

    @property
    def is_open(self) -> bool:
        """Whether it holds a descriptor."""
        return self._descriptor is not None

    @property
    def is_exhausted(self) -> bool:
        """Whether there was nothing more when it was last read; `has_news` says what was added since."""
        return self._seen is not None

    @property
    def is_broken(self) -> bool:
        """Whether nothing that is added to its file could mend its content."""
        return self._content is not None and self._content.is_broken

    @property
    def damage(self) -> str | None:
        """Why its content ends before it should, as far as it was read."""
        return self._content.damage if self._content else None

    def attach(self, place: Place, content: Content) -> None:
        """Read it from that file, which has this content, from now on."""
        self.detach()
        self.place = place
        self.head = content.read(0, FINGERPRINT)
        self.identity = identify(place, self.head, self.identity.path)
        self.is_compressed = isinstance(content, Gzip)

    def detach(self) -> None:
        """Its file is gone, or has become another."""
        self.close()
        self._look_again()
        self.place = None

    def seek(self, offset: int) -> None:
        """Read it from `offset` on."""
        if offset != self.position:
            self.position, self.mark = offset, b""
        self.durable = offset
        self.is_sought = True
        self._look_again()

    def has_news(self) -> bool:
        """Whether its file has changed since there was nothing more. Raises `Lost` and `OSError`, as `read`
        does.
        """
        return self.place is not None and self._signature() != self._seen

    def read(self, is_final: bool) -> Slice | None:
        """The next batch of it, or None where it ends for now. Raises `Lost` if its file is another, and
        `OSError`.

        A last line without an end is given only if it `is_final`.
        """
        signature = self._signature()
        content, cutter = self.open()
        size, _ = signature
        if size < content.file_size(self.position):
            raise Lost("was truncated")
        # One that was truncated, and has grown again since it was last looked at, is as long as it should be.
        if not self.is_compressed and not self.trace.agrees(content):
            raise Lost("was truncated and written anew")
        slice = cutter.next(self.until, is_final)
        self._seen = signature if slice is None else None
        if slice is not None:
            self.position, self.mark = slice.next, slice.mark
        if cutter.is_torn:
            cutter.is_torn = False
            logger.warning(
                "%s: its last line was read unfinished; what was added to it is a line of its own", self.shown
            )
        if size < len(GZIP_MAGIC):  # it may turn out to be compressed
            self.close()
        return slice

    def peek(self, position: int, size: int) -> bytes:
        """What its file holds there, read beside the reading of batches. Raises `OSError`."""
        if self._descriptor is not None:
            return content_of(self._descriptor).read(position, size)
        assert self.place
        with opened(self.place.path) as content:
            return content.read(position, size)

    def size(self) -> int | None:
        """How long its content is now, where that is cheap to know."""
        return None if self.is_compressed else self._status().st_size

    def is_linked(self) -> bool:
        """Whether its file still has a name."""
        try:
            return self._status().st_nlink > 0
        except (OSError, Lost):
            return False

    def open(self) -> tuple[Content, Cutter]:
        """Hold its descriptor from now on. Raises `Lost` and `OSError`, as `read` does."""
        if self._content is None:
            assert self.place
            descriptor = os.open(self.place.path, os.O_RDONLY)
            status = os.fstat(descriptor)
            content = content_of(descriptor)
            if (status.st_dev, status.st_ino) != self.place.id or not self.trace.agrees(content):
                os.close(descriptor)
                raise Lost("has other content than when it was read")
            self._descriptor, self._content = descriptor, content
            self.is_compressed = isinstance(content, Gzip)
        if self._cutter is None:
            self._cutter = Cutter(self._content, self.position, self._limits)
        return self._content, self._cutter

    def close(self) -> None:
        """Let go of the descriptor; reading goes on where it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._content = self._cutter = None

    __del__ = close

    def _look_again(self) -> None:
        self._cutter = None
        self._seen = None

    def _signature(self) -> tuple[int, int]:
        status = self._status()
        return status.st_size, status.st_mtime_ns

    def _status(self) -> os.stat_result:
        if self._descriptor is not None:
            return os.fstat(self._descriptor)
        assert self.place
        try:
            status = Path(self.place.path).stat()
        except FileNotFoundError:
            raise Lost("is gone") from None
        if (status.st_dev, status.st_ino) != self.place.id:
            raise Lost("is another file now")
        return status
