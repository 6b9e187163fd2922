"""One process of a service: its folder, its state, and what can be done to it."""

from __future__ import annotations

import contextlib
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from comporta.errors import ComportaError
from comporta.services import folders, processes
from comporta.services.plan import Plan
from comporta.services.processes import Process

PATIENCE = 300.0  # seconds that a node has to become ready, on a machine that is busy
ENDS = 60.0  # seconds that it has to end by itself
SHOWN = 5  # last lines of its log, where a node fails


class Node(ABC):
    """A broker of Kafka, a node of Cassandra, or a Redis; running or not."""

    service: str

    def __init__(self, plan: Plan, number: int, folder: Path) -> None:
        self.plan = plan
        self.number = number
        self.name = f"{self.service}-{number}"
        self.folder = folder / self.name
        self.log = self.folder / "log"
        self.host, self.port = plan.client(self.service, number)

    def __repr__(self) -> str:
        return f"<{self.name} at {self.address}, {self.state}>"

    @property
    def address(self) -> str:
        """Where clients find it: `HOST:PORT`."""
        return f"{self.host}:{self.port}"

    @property
    def process(self) -> Process | None:
        """Its process, paused or not, or None where it does not run."""
        return processes.read(self.folder / "pid")

    @property
    def pid(self) -> int | None:
        """The id of its process, or None where it does not run."""
        process = self.process
        return process.pid if process else None

    @property
    def state(self) -> str:
        """`ready` (it answers), `running` (it does not answer, or not yet), or `stopped`."""
        if self.process is None:
            return "stopped"
        return "ready" if self.is_ready() else "running"

    @abstractmethod
    def configure(self) -> None:
        """Write its configuration."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What starts it."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests now. May raise `OSError` or `ValueError`, which is a no."""

    def is_whole(self) -> bool:
        """Whether it and all others are there and up to date, so that one of them could be done without.

        May raise `OSError` or `ValueError`, which is a no.
        """
        return self.answers()

    def is_ready(self) -> bool:
        """Whether it serves requests now; asked for a second at most."""
        return _said(self.answers)

    def launch(self) -> None:
        """Start it, and do not wait for it. Nothing happens where it runs."""
        if self.process is not None:
            return
        folders.make(self.folder)
        self.configure()
        processes.start(self.command(), self.log, self.folder).write(self.folder / "pid")

    def awaited(self, holds: Callable[[], bool] | None = None) -> Iterator[None]:
        """Step until it answers, or until what is asked of it `holds`; an `OSError` or `ValueError` is a no.

        Raises `ComportaError` if it ends, or takes too long.
        """
        deadline = time.monotonic() + PATIENCE
        while not _said(holds or self.answers):
            if self.process is None:
                raise ComportaError(f"{self.name} has ended; its log, {self.log}, ends with\n{self._tail()}")
            if time.monotonic() > deadline:
                raise ComportaError(f"{self.name} does not answer after {PATIENCE:.0f} s; see {self.log}")
            yield

    def start(self) -> None:
        """Start it again, and wait until it is ready. Raises `ComportaError` if it does not get there."""
        self.launch()
        for _ in self.awaited():
            time.sleep(processes.POLL)

    def kill(self) -> None:
        """End it at once, as a crash would (`kill -9`), and wait until it has ended."""
        if process := self.process:
            processes.end([process], 0, gently=False)

    def end(self) -> None:
        """End it as an administrator would (`SIGTERM`), and wait until it has ended."""
        if process := self.process:
            processes.end([process], ENDS)

    def stop(self) -> None:
        """Pause it (`SIGSTOP`): connections stay, answers do not come."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `stop` (`SIGCONT`)."""
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        process = self.process
        if process is None:
            raise ComportaError(f"{self.name} does not run")
        process.send(number)

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            return "\n".join(line[:500] for line in lines[-SHOWN:])
        return ""


def _said(asked: Callable[[], bool]) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return asked()
    return False
