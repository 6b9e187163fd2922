"""Running the processes of a system, and measuring what they take, with all that descend from them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from comporta.bench.system import Failed, Spent
from comporta.chaos import processes

POLL = 0.1  # seconds between two looks at the processes
TICKS = os.sysconf("SC_CLK_TCK")


class Watch:
    """What the processes of a tree take, looked at now and then in a thread of its own."""

    def __init__(self, roots: Sequence[int]) -> None:
        self.peak = 0
        self._roots = roots
        self._cpu: dict[int, float] = {}
        self._must_end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def finish(self) -> float:
        """Look no more; the CPU seconds of all processes that were seen."""
        self._must_end.set()
        self._thread.join()
        return sum(self._cpu.values())

    def _look(self) -> None:
        while True:
            pids = {pid for root in self._roots for pid in processes.tree(root)}
            self.peak = max(self.peak, sum(processes.resident(pid) or 0 for pid in pids))
            for pid in pids:
                with contextlib.suppress(OSError):
                    self._cpu[pid] = cpu(pid)
            if self._must_end.wait(POLL):
                return


def cpu(pid: int) -> float:
    """The CPU seconds that a process itself has taken so far. Raises `OSError` where it has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(
    commands: Sequence[Sequence[str]],
    folder: Path,
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> Spent:
    """Start commands at once in a folder, where what they print goes too, and wait until all have ended.

    Raises `Failed` where one ends badly, or they take longer than so many seconds.
    """
    began = time.time()
    with (folder / "output.log").open("ab") as log:
        started = [
            subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | dict(environment or {}),
            )
            for command in commands
        ]
        watch = Watch([process.pid for process in started])
        waited = 0.0
        try:
            for process in started:
                waited += _wait(process, began + seconds, started)
        except BaseException:
            for process in started:
                processes.kill_tree(process.pid)
                process.wait()
            raise
        finally:
            ended = time.time()
            seen = watch.finish()
    # Who waits for its children has their time, even that after the last look; others only what was seen.
    return Spent(began, ended, max(seen, waited), watch.peak)


def _wait(process: subprocess.Popen[bytes], deadline: float, all: Sequence[subprocess.Popen[bytes]]) -> float:
    """Wait for the end of one while none of all fails; its CPU seconds and those of whom it waited for."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise Failed(f"it ended with {process.returncode}")
            return usage.ru_utime + usage.ru_stime
        for other in all:
            if other is not process and other.returncode is None and _has_failed(other.pid):
                raise Failed("one of its processes has failed")
        if time.time() > deadline:
            raise Failed("it did not come to its end in time")
        time.sleep(0.02)


def _has_failed(pid: int) -> bool:
    """Whether a process that nobody has waited for yet has ended badly."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None and (found.si_code != os.CLD_EXITED or found.si_status != 0)
