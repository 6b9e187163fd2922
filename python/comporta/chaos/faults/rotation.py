"""Log rotation: by a new name, by copy and truncation, compressed; while it runs, and while it does not."""

from __future__ import annotations

import gzip
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from comporta.chaos.fault import Breach, Fault
from comporta.chaos.system import Embedded, System

READ = 60.0  # seconds within which all that was written must be durable, so that a file can be truncated
POLL = 0.05
COMPRESSED = ".gz"


class Rotation(Fault):
    """Rotates some of the files, of which it keeps all: `part-0.log.1` is the one that was the last.

    No file is rotated that was never looked at under its first name: that one would not be known by another.
    """

    systems = ("embedded",)
    is_stopped: ClassVar[bool] = False
    """Whether the release is ended before, and started again afterwards."""
    is_read_first: ClassVar[bool] = False
    """Whether all that is in the files must have been read."""

    def inject(self, system: System) -> str:
        embedded = system.embedded
        self.found: list[str] = []
        paths = embedded.files.paths
        chosen = self.chance.sample(paths, self.chance.randint(1, len(paths)))
        target = ", ".join(path.name for path in sorted(chosen))
        self._wait(lambda: all(path.stat().st_size for path in chosen))
        self._wait_until_read(embedded)
        with embedded.files.lock:
            if self.is_read_first:
                self._wait_until_read(embedded)
            ended = self._end(system) if self.is_stopped else ""
            for path in chosen:
                _make_room(path)
                self.rotate(path)
        for path in chosen:
            self.finish(path)
        return target + ended

    def rotate(self, path: Path) -> None:
        """Rotate one file, while nobody writes to it."""
        path.rename(_numbered(path, 1))
        path.touch()

    def finish(self, path: Path) -> None:
        """What comes afterwards, when others write again; nothing by default."""

    def heal(self, system: System) -> None:
        if self.is_stopped:
            system.members[0].start()
        if self.found:
            raise Breach("; ".join(self.found))

    def _end(self, system: System) -> str:
        """Drain or kill the release; which of it, in words."""
        [member] = system.members
        is_killed = self.chance.random() < 0.5
        status = member.stop(at_once=is_killed)
        if status and not is_killed:
            self.found.append(f"{member.name}, which was to drain, ended with {status}")
        return ", while it was killed" if is_killed else ", while it was drained"

    def _wait_until_read(self, embedded: Embedded) -> None:
        """Wait for all that was written by now."""
        amount, position = embedded.producer.total, embedded.position()
        self._wait(lambda: (durable := position()) is not None and durable.records >= amount)

    def _wait(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READ
        while not holds():
            if time.monotonic() > deadline:
                raise Breach(f"not all that was written was durable within {READ:.0f} s")
            time.sleep(POLL)


class Rename(Rotation):
    name = "rotate-rename"


class Compress(Rotation):
    """Renames files, and then compresses them as `gzip` does it: beside the file, which then goes."""

    name = "rotate-compress"

    def finish(self, path: Path) -> None:
        rotated = _numbered(path, 1)
        compressed = rotated.with_name(rotated.name + COMPRESSED)
        with rotated.open("rb") as plain, gzip.open(compressed, "wb") as packed:
            shutil.copyfileobj(plain, packed)
        rotated.unlink()


class Truncate(Rotation):
    """Copies files that were read, and truncates them; between the two nobody writes."""

    name = "rotate-copy"
    is_read_first = True

    def rotate(self, path: Path) -> None:
        shutil.copy(path, _numbered(path, 1))
        os.truncate(path, 0)


class RenameStopped(Rename):
    name = "rotate-rename-stopped"
    is_stopped = True


class CompressStopped(Compress):
    name = "rotate-compress-stopped"
    is_stopped = True


class TruncateStopped(Truncate):
    name = "rotate-copy-stopped"
    is_stopped = True


def _make_room(path: Path) -> None:
    """Give those that were rotated before the next number."""
    for number in reversed(range(1, len(list(path.parent.glob(f"{path.name}.*"))) + 1)):
        for ending in ("", COMPRESSED):
            rotated = _numbered(path, number, ending)
            if rotated.exists():
                rotated.rename(_numbered(path, number + 1, ending))


def _numbered(path: Path, number: int, ending: str = "") -> Path:
    return path.with_name(f"{path.name}.{number}{ending}")
