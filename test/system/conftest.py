"""Whole-system tests: the real command, release, files and SQLite, judged by an independent computation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comporta.chaos.processes import kill_tree, role, tree
from comporta.chaos.processes import living as processes
from comporta.chaos.processes import send as kill

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "python" / "tests"))

from real_services import services  # noqa: E402

__all__ = ["kill", "kill_tree", "processes", "role", "services", "tree"]
COMMAND = Path(sys.executable).with_name("comporta")
EXAMPLES = ROOT / "examples"
DEADLINE = 120.0

# What a shell starts in the background ignores SIGINT, and so would everything that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


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

    def run(
        self, *words: object, status: int | None = 0, seconds: float = DEADLINE, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=seconds)
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


def wait_until(holds: Callable[[], Any], what: str | Callable[[], str], seconds: float = 60.0) -> Any:
    """What `holds` gives once that is something; `what` may be what there is to say only afterwards."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what if isinstance(what, str) else what()}")
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
