"""Where services keep their data and what was downloaded, and a lock on a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from comporta.errors import ComportaError


def default_data() -> Path:
    """The folder of the services' data where none is given: `$XDG_DATA_HOME/comporta/services`."""
    return _home("XDG_DATA_HOME", ".local/share") / "services"


def cache() -> Path:
    """The folder of what can be downloaded again: `$XDG_CACHE_HOME/comporta`."""
    return _home("XDG_CACHE_HOME", ".cache")


def make(folder: Path) -> Path:
    """The folder, made where it is missing. Raises `ComportaError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ComportaError(f"{folder}: cannot be made: {error.strerror}") from error
    return folder


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock in the file `path`, which ends with this process; `waiting` is called if others hold it.

    The file and its folder are made where they are missing. Raises `ComportaError`.
    """
    while True:
        make(path.parent)
        try:
            file = path.open("a")
        except OSError as error:
            raise ComportaError(f"{path}: cannot open the lock file: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is_still(path, file):
                yield
                return


def _is_still(path: Path, file: TextIO) -> bool:
    """Whether the open file is what the path names: its holder before may have deleted it."""
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _home(variable: str, otherwise: str) -> Path:
    given = os.environ.get(variable, "")
    # As the XDG specification has it, a relative path is as good as none.
    base = Path(given) if Path(given).is_absolute() else Path.home() / otherwise
    return base / "comporta"
