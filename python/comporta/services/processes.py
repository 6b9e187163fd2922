"""Processes that outlive whoever started them, known by their id and by when they began."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from comporta.errors import ComportaError

POLL = 0.05  # seconds

# Those that this process started itself: until they are waited for, they stay behind as zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


class Process(NamedTuple):
    """A process and when it began, in clock ticks after boot: its id alone may be somebody else's by now."""

    pid: int
    began: int

    def is_alive(self) -> bool:
        """Whether it still runs, paused or not."""
        if child := _children.get(self.pid):
            child.poll()
        return _began(self.pid) == self.began

    def send(self, number: int) -> None:
        """Send it a signal; nothing happens where it has ended."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def write(self, path: Path) -> None:
        """Keep it in a file, for `read`."""
        temporary = path.with_name(path.name + ".new")
        temporary.write_text(json.dumps(self._asdict()) + "\n")
        temporary.replace(path)


def read(path: Path) -> Process | None:
    """The living process that a file names, or None where there is none."""
    try:
        kept = json.loads(path.read_text())
        process = Process(int(kept["pid"]), int(kept["began"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return process if process.is_alive() else None


def start(command: Sequence[str | Path], log: Path, folder: Path) -> Process:
    """Start a command in a session of its own, in `folder`, what it prints added to `log`.

    Raises `ComportaError` if it cannot be started.
    """
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,  # or Ctrl-C at the terminal would reach it, too
            )
        except OSError as error:
            raise ComportaError(f"{command[0]} cannot be started: {error.strerror}") from error
    _children[child.pid] = child
    began = _began(child.pid)
    return Process(child.pid, -1 if began is None else began)


def end(processes: Iterable[Process], patience: float, *, gently: bool = True) -> None:
    """End processes and wait: ask them, and kill those that are still there after `patience` seconds.

    Unless it goes `gently`, they are killed unasked. Raises `ComportaError` where even that does not help.
    """
    left = list(processes)
    try:
        if gently:
            for process in left:
                process.send(signal.SIGTERM)
                process.send(signal.SIGCONT)  # a paused one could not hear it
            left = _wait(left, patience)
    finally:
        for process in left:
            process.send(signal.SIGKILL)
    left = _wait(left, 10)
    if left:
        raise ComportaError(f"process {left[0].pid} does not end, even by SIGKILL")


def patiently(seconds: float) -> Iterator[None]:
    """Step for so many seconds, at whatever pace."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield


def awaited(processes: Sequence[Process], seconds: float) -> Iterator[None]:
    """Step until all of these have ended, which they must within so many seconds: else they are killed."""
    try:
        for _ in patiently(seconds):
            if not any(process.is_alive() for process in processes):
                return
            yield
    finally:
        for process in processes:
            process.send(signal.SIGKILL)


def _wait(processes: Sequence[Process], seconds: float) -> list[Process]:
    """Those that still run after `seconds`."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if process.is_alive()]
    while left and time.monotonic() < deadline:
        time.sleep(POLL)
        left = [process for process in left if process.is_alive()]
    return left


def _began(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else int(fields[19])
