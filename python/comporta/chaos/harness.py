"""What the transforms of workloads call first: misbehaviour, where it is asked for.

A record whose value begins with `!` names a misbehaviour: it is a poison record. The file `misbehave` in the
folder COMPORTA_CHAOS_FOLDER names one for whichever worker sees it first, once.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = "COMPORTA_CHAOS_FOLDER"
FILE = "misbehave"


def poison(kind: str, number: int) -> bytes:
    """The value of a poison record."""
    return b"!%s %d" % (kind.encode(), number)


def heed(value: bytes | None) -> bool:
    """Misbehave, if that is asked for. True for a poison record, if its misbehaviour is survived."""
    if _asked and os.path.exists(_asked):  # noqa: PTH110  a Path costs ten times as much, for each record
        _once()
    if value is None or not value.startswith(b"!"):
        return False
    MISBEHAVIOURS[value[1:].split()[0].decode()]()
    return True


_folder = os.environ.get(FOLDER)
_asked = f"{_folder}/{FILE}" if _folder else ""


def _once() -> None:
    taken = Path(f"{_asked}.{os.getpid()}")
    try:
        Path(_asked).rename(taken)  # only one of all workers can
    except FileNotFoundError:
        return
    MISBEHAVIOURS[taken.read_text()]()


def _leak() -> None:
    held = []
    while True:
        held.append(b"x" * (8 << 20))
        time.sleep(0.005)


def _spin() -> None:
    while True:
        pass


def _hold() -> None:
    """Hold the interpreter, as code in C may: not even a thread of this process runs on."""
    ctypes.PyDLL(None).sleep(3600)


def _segfault() -> None:
    ctypes.string_at(0)


def _exit() -> None:
    os._exit(0)


def _close() -> None:
    os.closerange(3, 1024)


def _fork() -> None:
    """Leave a child behind that does not end by itself."""
    if os.fork() == 0:
        time.sleep(3600)
        os._exit(0)


def _never_read() -> None:
    """Answer no more, and read nothing."""
    time.sleep(3600)


def _recurse() -> None:
    sys.setrecursionlimit(1 << 30)
    _recurse()


def _raise() -> None:
    raise RuntimeError("this record is poison")


MISBEHAVIOURS: dict[str, Callable[[], None]] = {
    "leak": _leak,
    "spin": _spin,
    "hold": _hold,
    "segfault": _segfault,
    "exit": _exit,
    "close": _close,
    "fork": _fork,
    "never-read": _never_read,
    "recurse": _recurse,
    "raise": _raise,
}
SURVIVED = {"fork"}
"""Misbehaviours after which a worker goes on."""
