"""What a program of a peer is told, and what it leaves: its totals and its times.

It runs under the peer's own interpreter, so it needs nothing but the standard library. A program is started
with one argument, the task in JSON, and processes that share a consumer group do not know how many of the
lines will be theirs: each writes down how far it is, and all end once the sum is all of them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLL = 0.05  # seconds between two looks at how far the others are

Group = tuple[Any, ...]  # minute, status and method


class Task:
    """The job as a program sees it; `number` tells the processes of one run apart."""

    def __init__(self, text: str) -> None:
        given = json.loads(text)
        self.kafka: str = given["kafka"]
        self.topic: str = given["topic"]
        self.group: str = given["group"]
        self.partitions: int = given["partitions"]
        self.lines: int = given["lines"]
        self.processes: int = given["processes"]
        self.folder = Path(given["folder"])
        self.file: str = given["file"]
        self.number: int = given["number"]
        self.job: str = given["job"]
        self.more: dict[str, Any] = given["more"]  # what only this program is told

    @property
    def parse(self) -> Callable[[bytes], Group]:
        """The function that every system runs on every line."""
        spec = importlib.util.spec_from_file_location("job", self.job)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        parse: Callable[[bytes], Group] = module.parse
        return parse


def be_found_by_children() -> None:
    """Have Python processes that something else starts for this one find this module, too."""
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)


def told() -> Task:
    """The task that this process was started with."""
    return Task(sys.argv[1])


class Tally:
    """Count and sum of bytes of each group, and when the first and the last of them were counted."""

    def __init__(self) -> None:
        self.totals: dict[Group, list[int]] = {}
        self.lines = 0
        self.first = 0.0
        self.last = 0.0

    def add(self, minute: int, status: int, method: str, size: int) -> None:
        """Count one line."""
        self.merge((minute, status, method), 1, size)

    def merge(self, group: Group, count: int, size: int) -> None:
        """Count what has been added up already."""
        total = self.totals.get(group)
        if total is None:
            self.totals[group] = [count, size]
        else:
            total[0] += count
            total[1] += size
        self.lines += count

    def leave(self, folder: Path, name: str) -> None:
        """Write the file that the harness reads, whole or not at all."""
        leave(folder, name, self.first, self.last, self.totals)


def leave(folder: Path, name: str, first: float, last: float, totals: dict[Group, list[int]]) -> None:
    """Write the file that the harness reads, whole or not at all."""
    path = folder / f"result-{name}.json"
    temporary = folder / f".{path.name}"
    rows = [[*group, *total] for group, total in totals.items()]
    temporary.write_text(json.dumps({"first": first, "last": last, "totals": rows}))
    temporary.replace(path)


def meet(task: Task) -> None:
    """Wait until all processes of the run are here, so that none begins long before the others."""
    (task.folder / f"here-{task.number}").touch()
    while len(list(task.folder.glob("here-*"))) < task.processes:
        time.sleep(POLL)


def watch(task: Task, tally: Tally, end: Callable[[], object]) -> threading.Thread:
    """Call `end` once the processes of the run have counted all lines among them."""
    thread = threading.Thread(target=_watch, args=(task, tally, end), daemon=True)
    thread.start()
    return thread


def _watch(task: Task, tally: Tally, end: Callable[[], object]) -> None:
    said = -1
    while True:
        if tally.lines != said:
            said = tally.lines
            temporary = task.folder / f".progress-{os.getpid()}"
            temporary.write_text(str(said))
            temporary.replace(task.folder / f"progress-{task.number}")
        counts = [int(path.read_text()) for path in task.folder.glob("progress-*")]
        if sum(counts) >= task.lines:
            end()
            return
        time.sleep(POLL)
