"""A member of the group: the command `comporta run`, kept running as a system's service manager would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from comporta.chaos import processes

COMMAND = (sys.executable, "-c", "from comporta.cli import main; main()")
POLL = 0.1
RESTART = 0.5  # seconds until what has ended is started again
PATIENCE = 60.0  # seconds that it may take to drain


class Member:
    """Runs in a folder of its own; whatever ends it, it is started again, until `stop`.

    `exits` has, in words, each end that nobody had asked for. Its output is in the file `log`. A change of
    `environment` is for its next start.
    """

    def __init__(self, name: str, words: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.exits: list[str] = []
        self.log = folder / f"{name}.log"
        self._words = [*COMMAND, "run", *words]
        self.environment = os.environ | dict(environment)
        self._folder = folder / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False
        self._is_end_expected = False
        self._keeping: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The command's process, or None where it does not run now."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    @property
    def instance(self) -> str:
        """The id under which it is in its group."""
        [lock] = self._folder.glob(".comporta/instances/*.lock")
        return lock.read_text()

    def start(self) -> None:
        """Run from now on, or again after `stop`."""
        if self._keeping:
            self._keeping.join()
        self._is_wanted = True
        self._launch()
        self._keeping = threading.Thread(target=self._keep, daemon=True)
        self._keeping.start()

    def expect_end(self) -> None:
        """Its next end is no surprise: whoever calls this ends what it cannot go on without."""
        self._is_end_expected = True

    def stop(self, *, at_once: bool = False) -> int:
        """End it and do not start it again: drained, or killed with all its processes. Its exit status."""
        with self._lock:
            self._is_wanted = False
            process = self._process
        if process is None:
            return 0
        if at_once:
            processes.kill_tree(process.pid)
        else:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE)
            return 0 if status == -signal.SIGTERM else status  # which ends one that has not begun yet
        except subprocess.TimeoutExpired:
            processes.kill_tree(process.pid)
            return process.wait()

    def pids(self, role: str | None = None) -> list[int]:
        """Its processes with a role, such as `beam` or `worker`, `command` being its own; or all of them."""
        return [pid for pid, found in self._parts() if role in (None, found)]

    def roles(self) -> set[str | None]:
        """The roles that its processes have."""
        return {role for _, role in self._parts()}

    def _parts(self) -> list[tuple[int, str | None]]:
        root = self.pid
        if root is None:
            return []
        return [
            (pid, "command" if pid == root else processes.role(line))
            for pid, line in processes.tree(root).items()
        ]

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=self.environment,
                start_new_session=True,
            )

    def _keep(self) -> None:
        while True:
            time.sleep(POLL)
            with self._lock:
                if not self._is_wanted:
                    return
                if self._process is None or self._process.poll() is None:
                    continue
                if not self._is_end_expected:
                    last = self.log.read_text(errors="replace").splitlines()[-1:]
                    self.exits.append(f"ended by itself with {self._process.returncode}: {''.join(last)}")
                self._is_end_expected = False
                time.sleep(RESTART)
                self._launch()
