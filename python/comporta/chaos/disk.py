"""A disk that can be full: a small file system of its own, in memory."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SIZE = 1 << 30  # bytes, as long as it is not to be full
TRIES = 20


class Disk:
    """The folder `path` as a file system of its own, until `close`, which leaves its files there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _mount(path, SIZE)

    @property
    def used(self) -> int:
        """The bytes of the blocks that files have."""
        status = os.statvfs(self._path)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def fill(self) -> int:
        """Leave no room from now on; the bytes that are in use then."""
        for _ in range(TRIES):
            with contextlib.suppress(subprocess.CalledProcessError):  # others have written meanwhile
                _resize(self._path, self.used)
                break
        return self.used

    def free(self) -> None:
        """Leave room again."""
        _resize(self._path, SIZE)

    def close(self) -> None:
        """Have the files on the disk below instead."""
        with tempfile.TemporaryDirectory(dir=self._path.parent) as kept:
            shutil.copytree(self._path, kept, dirs_exist_ok=True)
            _run("umount", str(self._path))
            shutil.copytree(kept, self._path, dirs_exist_ok=True)


@functools.cache
def missing() -> str | None:
    """What this machine lacks for such a disk, in words."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount(Path(folder), SIZE)
        except (OSError, subprocess.CalledProcessError):
            return "a small file system cannot be mounted, which takes root"
        _run("umount", folder)
    return None


def _mount(path: Path, size: int) -> None:
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "comporta-chaos", str(path))


def _resize(path: Path, size: int) -> None:
    _run("mount", "-o", f"remount,size={size}", str(path))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
