"""Whole-system tests: the real command, release, files and SQLite, judged by an independent computation."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "python" / "tests"))

from real_services import services  # noqa: E402

__all__ = ["services"]
COMMAND = Path(sys.executable).with_name("comporta")
EXAMPLES = ROOT / "examples"
DEADLINE = 120.0


class Workplace:
    """A folder of its own with the command in it; whatever it starts ends with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def start(self, *words: object, **options: Any) -> subprocess.Popen[str]:
        options = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "stdin": subprocess.DEVNULL,
        } | options
        environment = os.environ | {"COMPORTA_DRAIN_TIMEOUT": "20s"} | options.pop("env", {})
        process = subprocess.Popen(
            [COMMAND, *map(str, words)],
            cwd=self.folder,
            text=True,
            env=environment,
            errors="replace",
            **options,
        )
        self._started.append(process)
        return process

    def run(self, *words: object, status: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            out, err = process.communicate()
            pytest.fail(f"{words} did not end: {out[-2000:]} {err[-4000:]}")
        if status is not None:
            assert process.returncode == status, f"{words} ended with {process.returncode}:\n{out}\n{err}"
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def query(self, file: object, metric: str, *words: object) -> list[dict[str, Any]]:
        return json_lines(self.run("query", file, metric, "--format", "json", *words).stdout)

    def counts(self, file: object, metric: str, *words: object) -> dict[tuple[Any, ...], Any]:
        return {tuple(row["group"].values()): row["value"] for row in self.query(file, metric, *words)}

    def rows(self, file: object, *words: object) -> list[dict[str, Any]]:
        return json_lines(self.run("rows", file, "--format", "json", *words).stdout)

    def audit(self, file: object, *words: object, status: int = 0) -> list[dict[str, Any]]:
        return json_lines(self.run("audit", file, "--format", "json", *words, status=status).stdout)

    def ledger(self, file: object, *words: object) -> dict[str, Any]:
        whole = self.audit(file, *words)[-1]
        assert whole["partition"] is None
        assert whole["balanced"]
        return whole

    def letters(self, file: object, *words: object) -> list[dict[str, Any]]:
        return json_lines(self.run("dead", "list", file, "--format", "json", *words).stdout)

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                kill_tree(process.pid)
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def processes() -> dict[int, tuple[int, str]]:
    """Every living process: its parent and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(entry.name)] = (int(parent), line)
    return found


def tree(root: int) -> dict[int, str]:
    """The process `root` and all that descend from it, with their command lines."""
    everything = processes()
    found = {root: everything[root][1]} if root in everything else {}
    grown = True
    while grown:
        more = {
            pid: line for pid, (parent, line) in everything.items() if parent in found and pid not in found
        }
        found |= more
        grown = bool(more)
    return found


def role(line: str) -> str | None:
    """What part of a run a command line is: `beam`, or the name of a Python program."""
    if "beam.smp" in line:
        return "beam"
    program = re.search(r"-m comporta\.(\w+)", line)
    return program[1] if program else None


def kill_tree(root: int) -> None:
    for pid in tree(root):
        kill(pid)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_until(holds: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return answer


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    place = Workplace(tmp_path)
    yield place
    place.close()


def access_log() -> list[bytes]:
    return (EXAMPLES / "access.log").read_bytes().splitlines()


def statuses(lines: list[bytes]) -> dict[tuple[int], int]:
    """Requests by status, as awk would count them: the ninth word of each line."""
    return {(int(status),): count for status, count in Counter(line.split()[8] for line in lines).items()}
