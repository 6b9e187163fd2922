"""Files as a source: each a partition, byte positions as offsets, followed as they grow and rotate."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from comporta.errors import SourceError
from comporta.payloads import AssignedPartition, Known, KnownPartition
from comporta.sources.content import Content, TruncatedError, open_content
from comporta.sources.contract import Source, SourceBatch
from comporta.sources.identity import Identity, compressed, holds, identify, siblings
from comporta.sources.lines import LineCutter

logger = logging.getLogger(__name__)

# Seconds that a newcomer waits which begins like a file that is being read: rotation may be at work.
DOUBT = 60.0


class FilePartition:
    """One file, as it is read. `end` is where it ended when the run started, if that is where reading is to
    stop."""

    def __init__(self, partition: str, identity: Identity, path: Path, end: int | None) -> None:
        self.partition = partition
        self.identity = identity
        self.path = path
        self.end = end
        self.complained = False
        self._assignment = 0
        self._content: Content | None = None
        self._cutter: LineCutter | None = None

    def seek(self, assignment: int, offset: int, size: int, longest: int) -> None:
        """Read from `offset` on, under `assignment`."""
        self.close()
        self._assignment = assignment
        self._content = open_content(self.path)
        before = self._content.seek(offset)
        self._cutter = LineCutter(self._bounded, offset, before, size, longest)

    def _bounded(self, size: int) -> bytes:
        assert self._content is not None
        left = size if self.end is None else min(size, self.end - self._content.position)
        return self._content.read(left) if left > 0 else b""

    def read(self, until_end: bool) -> SourceBatch | None:
        """The next lines, if there are any now. Raises `SourceError` where the file is damaged."""
        if self._cutter is None:
            return None
        chunk = self._cutter.cut(final=until_end)
        if chunk is None:
            return None
        return SourceBatch(
            partition=self.partition, shown=self.shown, assignment=self._assignment, **vars(chunk)
        )

    @property
    def shown(self) -> str:
        """The path for people; a name need not be text."""
        return os.fsencode(self.path).decode(errors="backslashreplace")

    @property
    def reading(self) -> bool:
        """Whether `seek` has said where to read."""
        return self._cutter is not None

    @property
    def position(self) -> int:
        """How far the file has been read."""
        return self._content.position if self._content else 0

    def size(self) -> int | None:
        """Where the file ends now; None where only reading it tells."""
        return self._content.end() if self._content else None

    def close(self) -> None:
        """Let go of the file: nothing is read any longer."""
        if self._content:
            self._content.close()
        self._content = self._cutter = None


class Files(Source):
    """The files that match a glob, `**` allowed, and what rotation made of those that were read before."""

    unit = "bytes"

    def __init__(
        self, pattern: str, known: Known, start: str, until_end: bool, size: int, longest: int
    ) -> None:
        self._pattern = pattern
        self._start = start
        self._until_end = until_end
        self._size = size
        self._longest = longest
        self._started = known["started"]
        self._known = {
            known["partition"]: known
            for known in known["partitions"]
            if known["partition"].startswith("file-")
        }
        self._partitions: dict[str, FilePartition] = {}
        self._reached: list[tuple[str, int]] = []
        self._doubtful: dict[tuple[int, int], float] = {}
        self._turn = 0
        self._first = True
        if start not in ("earliest", "latest"):
            raise SourceError(
                f"--start {start}: lines of a file have no time before the transform runs;"
                " it is earliest or latest"
            )

    def discover(self) -> list[AssignedPartition]:
        first, self._first = self._first, False
        paths = self._paths(first)
        assigned = []
        if first:
            assigned += self._recognise(paths)
        else:
            self._notice_truncation()
        taken = {(p.identity.device, p.identity.inode) for p in self._partitions.values()}
        for path in paths:
            try:
                identity = identify(path)
            except SourceError as error:
                if first:
                    raise
                logger.error("%s", error)
                continue
            inode = identity.device, identity.inode
            if inode in taken or self._wait(path, identity, first):
                continue
            taken.add(inode)
            beginning = (
                self._beginning(path) if first and not self._started and self._start == "latest" else 0
            )
            assigned.append(self._take("file-" + secrets.token_hex(6), identity, path, beginning))
        return assigned

    def _paths(self, first: bool) -> list[Path]:
        paths = [Path(found).absolute() for found in sorted(glob.glob(self._pattern, recursive=True))]  # noqa: PTH207 (absolute ones, too)
        directories = [path for path in paths if path.is_dir()]
        paths = [path for path in paths if path.is_file()]
        if first and not paths:
            if directories:
                raise SourceError(
                    f"{directories[0]} is a directory: give a pattern, such as file:{self._pattern}/*.log"
                )
            wild = glob.has_magic(self._pattern)
            if self._until_end or not wild:
                known = any(siblings(Path(self._pattern).absolute())) and self._known
                if not known:
                    raise SourceError(f"no file matches {self._pattern} (in {Path.cwd()})")
            else:
                logger.warning("no file matches %s yet: waiting for one", self._pattern)
        return paths

    def _recognise(self, paths: Iterable[Path]) -> list[AssignedPartition]:
        """The partitions that the store knows, each with the file that it is in now."""
        assigned = []
        free: dict[tuple[int, int], Path] = {}
        candidates = list(paths)
        for known in self._known.values():
            candidates += siblings(Path(Identity.unpack(known["meta"]).path))
        for path in candidates:
            with contextlib.suppress(FileNotFoundError):  # rotation may just be at work
                stat = path.stat()
                free.setdefault((stat.st_dev, stat.st_ino), path)
        waiting: list[tuple[KnownPartition, Identity]] = []
        for known in self._known.values():
            identity = Identity.unpack(known["meta"])
            inode = identity.device, identity.inode
            same = free.get(inode)
            if (
                same
                and identity.host == socket.gethostname()
                and holds(same, identity, known["upto"], known["mark"])
            ):
                del free[inode]
                assigned.append(
                    self._take(known["partition"], replace(identity, path=str(same)), same, known["upto"])
                )
            else:
                waiting.append((known, identity))
        for known, identity in waiting:
            found = self._elsewhere(known, identity, free)
            if found:
                assigned.append(self._take(known["partition"], identify(found), found, known["upto"]))
            else:
                logger.warning("%s, read up to %d, is not there any longer", identity.path, known["upto"])
        return assigned

    def _elsewhere(
        self, known: KnownPartition, identity: Identity, free: dict[tuple[int, int], Path]
    ) -> Path | None:
        """The sibling that holds what the partition held: copied, or compressed, by rotation."""
        if identity.head_length == 0:
            return None
        beside = siblings(Path(identity.path))
        for inode, path in list(free.items()):
            if path in beside and holds(path, identity, known["upto"], known["mark"]):
                logger.info("%s is what %s was: reading goes on there", path, identity.path)
                return free.pop(inode)
        return None

    def _wait(self, path: Path, identity: Identity, first: bool) -> bool:
        """Whether a newcomer must wait: rotation may be copying or compressing a file that is being read."""
        if identity.head_length == 0 or self._until_end:
            return False
        inode = identity.device, identity.inode
        since = self._doubtful.get(inode)
        if since is None:
            alike = any(
                path in siblings(living.path) and holds(path, living.identity, 0, b"")
                for living in self._partitions.values()
            )
            if not alike or (first and not compressed(path)):
                return False
            self._doubtful[inode] = time.monotonic()
            logger.info(
                "%s begins like a file that is being read: waiting %d s before it is read", path, DOUBT
            )
            return True
        if time.monotonic() - since < DOUBT:
            return True
        logger.warning("%s is read as a file of its own, though it begins like another one", path)
        return False

    def _notice_truncation(self) -> None:
        """A file that is shorter than what was read of it was truncated in place: what it holds now is
        another log."""
        for partition in list(self._partitions.values()):
            size = partition.size()
            if size is not None and size < partition.position:
                logger.warning(
                    "%s was truncated in place: what it holds now is read from its beginning", partition.path
                )
                partition.close()
                del self._partitions[partition.partition]

    def _beginning(self, path: Path) -> int:
        """Where the last line that has no end yet begins: what comes later is read from there."""
        content = open_content(path)
        try:
            end, line = 0, 0
            while data := content.read(1 << 20):
                newline = data.rfind(b"\n") + 1
                line = end + newline if newline else line
                end += len(data)
            return line
        finally:
            content.close()

    def _take(self, partition: str, identity: Identity, path: Path, offset: int) -> AssignedPartition:
        end = None
        if self._until_end:
            content = open_content(path)
            end = content.end()
            content.close()
            if end is not None:
                self._reached.append((partition, end))
        taken = self._partitions[partition] = FilePartition(partition, identity, path, end)
        return AssignedPartition(partition=partition, shown=taken.shown, start=offset, meta=identity.pack())

    def seek(self, partition: str, assignment: int, offset: int) -> None:
        found = self._partitions.get(partition)
        if found is None:  # truncated in place meanwhile
            return
        try:
            found.seek(assignment, offset, self._size, self._longest)
        except TruncatedError as error:
            self._damaged(found, error)

    def read(self) -> SourceBatch | None:
        partitions = list(self._partitions.values())
        for step in range(len(partitions)):
            partition = partitions[(self._turn + step) % len(partitions)]
            batch = self._read(partition)
            if batch:
                self._turn = (self._turn + step + 1) % len(partitions)
                return batch
        return None

    def _read(self, partition: FilePartition) -> SourceBatch | None:
        reading = partition.reading
        try:
            batch = partition.read(self._until_end)
        except SourceError as error:
            self._damaged(partition, error)
            return None
        if batch is None and reading and self._until_end and partition.end is None:
            partition.end = partition.position
            self._reached.append((partition.partition, partition.end))
        return batch

    def _damaged(self, partition: FilePartition, error: SourceError) -> None:
        if self._until_end:
            raise error
        if not partition.complained:
            logger.error("%s", error)
            partition.complained = True
        if not isinstance(error, TruncatedError):
            partition.close()

    def reached(self) -> list[tuple[str, int]]:
        reached, self._reached = self._reached, []
        return reached

    def ends(self) -> list[tuple[str, int]]:
        sizes = ((name, partition.size()) for name, partition in self._partitions.items())
        return [(name, size) for name, size in sizes if size is not None]
