"""The data directory: where processes leave word of themselves, in files that they hold locked.

A lock is an `flock`, so that the kernel releases it when its holder ends, however that comes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from comporta.errors import UsageError


def data_directory() -> Path:
    """`COMPORTA_DATA`, or `.comporta`; it need not be there."""
    return Path(os.environ.get("COMPORTA_DATA") or ".comporta").absolute()


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock a file, alone or `shared` with others that do so; False if somebody else holds it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_file(path: Path) -> int:
    """A descriptor of a file that is there, to be locked. Raises `UsageError` where it cannot be opened."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be opened: {error.strerror}; is it another user's?") from error


def write(descriptor: int, content: bytes) -> None:
    """Have a file hold this, and nothing else."""
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))
