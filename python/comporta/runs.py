"""Runs of pipelines, as their commands note themselves in the data directory, for `comporta drain` to find.

A note is a file with a name that no other ever has, locked for as long as its command lives: while the lock
is held, the process that the note names is the run. Notes of runs that were killed stay behind unlocked, and
are deleted by whoever comes by.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from comporta.data import data_directory, lock, open_file, write
from comporta.errors import ComportaError

LONGEST = 1 << 16  # bytes of a note
TEAR = 0.01  # seconds until a note that was read while it was written is read again


def _namespace() -> str:
    """What process ids are valid in: two containers may share a directory, and not them."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


@dataclass(frozen=True)
class About:
    """What a note says: `file` is absolute, `instance` the id in its group that the run was given, if any.

    `pipeline` is its name, once that is known, and `status` the exit status, once the run has ended.
    """

    file: str
    source: str
    instance: str | None
    pipeline: str | None
    status: int | None = None
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    namespace: str = field(default_factory=_namespace)


class Note:
    """The note of this process. Raises `OSError` where it cannot be made."""

    def __init__(self, about: About) -> None:
        self._about = about
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        for run in _runs(folder):
            run.close()
        self._path = folder / f"{secrets.token_hex(8)}.json"
        unfinished = self._path.with_suffix(".new")  # nobody looks at it before it is locked and whole
        self._descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        lock(self._descriptor)
        self._write()
        unfinished.rename(self._path)

    def add(self, **more: object) -> None:
        """Say more than before."""
        self._about = replace(self._about, **more)  # type: ignore[arg-type]
        with contextlib.suppress(OSError):  # a full disk stops no run
            self._write()

    def _write(self) -> None:
        write(self._descriptor, json.dumps(asdict(self._about)).encode())

    def close(self) -> None:
        """Take it away: the run has ended."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)


class Run:
    """A run that another process has noted, in the file that is open as `descriptor`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def about(self) -> About:
        """What its note says by now."""
        while True:
            try:
                return About(**json.loads(os.pread(self._descriptor, LONGEST, 0)))
            except ValueError:
                time.sleep(TEAR)

    def has_ended(self) -> bool:
        """Whether its process is gone."""
        return lock(self._descriptor, shared=True)

    def drain(self) -> None:
        """Have it drain, as Ctrl-C would. Raises `ComportaError` where it cannot be reached from here."""
        about = self.about
        if (about.host, about.namespace) != (socket.gethostname(), _namespace()):
            raise ComportaError(
                f"{self} is on {about.host}, and this is {socket.gethostname()}, or another container there:"
                " drain it where it runs"
            )
        try:
            self._signal(about.pid)
        except PermissionError:
            raise ComportaError(f"{self} is another user's: drain it as that user") from None

    def _signal(self, pid: int) -> None:
        """Send SIGTERM to the process, and surely to no other that has its number since it ended."""
        with contextlib.suppress(ProcessLookupError):
            if not hasattr(os, "pidfd_open"):
                if not self.has_ended():
                    os.kill(pid, signal.SIGTERM)
                return
            process = os.pidfd_open(pid)
            try:
                if not self.has_ended():
                    signal.pidfd_send_signal(process, signal.SIGTERM)
            finally:
                os.close(process)

    def close(self) -> None:
        """Look at it no more."""
        os.close(self._descriptor)

    def __str__(self) -> str:
        about = self.about
        return f"{about.pipeline or about.file} (process {about.pid})"


def running(pipeline: str, file: str) -> list[Run]:
    """The runs of a pipeline, or of one that does not know its name yet and is defined in `file`."""
    found = []
    for run in _runs(_folder()):
        about = run.about
        if about.pipeline == pipeline or (about.pipeline is None and about.file == file):
            found.append(run)
        else:
            run.close()
    return found


def _runs(folder: Path) -> Iterator[Run]:
    for path in folder.glob("*.json"):
        try:
            run = Run(open_file(path))
        except FileNotFoundError:  # it has just ended
            continue
        if run.has_ended():
            path.unlink(missing_ok=True)
            run.close()
        else:
            yield run


def _folder() -> Path:
    return data_directory() / "runs"
