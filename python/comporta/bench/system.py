"""What a system is that does the job, and how a run of it tells what it has counted."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from comporta.bench.job import Totals


class Unavailable(Exception):
    """A system cannot be installed here: why, in one line, with its version and the installer's error."""


class Failed(Exception):
    """A run did not come to its end, or left no result: why, in one line."""


class Job(NamedTuple):
    """What is to be counted: a topic, and a file of the same lines, and in how many processes.

    Each partition holds `lines / partitions` of them. `folder` is new for each run; the consumer group of
    the run is named for it, and starts at the earliest offset. `cassandra` and `redis` are where those
    are, for who needs them.
    """

    kafka: str
    topic: str
    partitions: int
    lines: int
    processes: int
    folder: Path
    file: Path
    cassandra: str = ""
    redis: str = ""

    @property
    def group(self) -> str:
        """The consumer group of this run alone."""
        return f"bench-{self.folder.name}"


class Spent(NamedTuple):
    """What a run took as a whole: unix times, CPU seconds, and the most bytes resident, of all processes."""

    began: float
    ended: float
    cpu: float
    peak: int


class Result(NamedTuple):
    """What a run counted, and in how many seconds, starting not included."""

    seconds: float
    totals: Totals


class System(ABC):
    """A system, as processes that do the job.

    Each of them ends by itself once its share of `job.lines` is counted, and leaves `result-*.json` in the
    job's folder: `{"first", "last", "totals"}`. `first` is the unix time when its first record was at hand,
    `last` when its last was counted, `totals` a list of `[minute, status, method, count, bytes]`. The
    harness adds up what all files have. One that does not parse lines has a single total, of which only the
    count is looked at, and says so by `only_counts`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    only_counts: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    """The services that it needs besides Kafka."""

    def install(self, cache: Path) -> None:  # noqa: B027
        """Install what is needed into `cache / name`; quick if it is there. Raises `Unavailable`."""

    def prepare(self, job: Job) -> None:  # noqa: B027
        """Make what a run needs before it is measured. Raises `Failed`."""

    @abstractmethod
    def commands(self, job: Job) -> list[list[str]]:
        """The processes to start at once, in the job's folder; the run has ended when all of them have."""

    def result(self, job: Job, spent: Spent) -> Result:
        """What the run has counted, once it has ended. Raises `Failed`."""
        left = [json.loads(path.read_text()) for path in sorted(job.folder.glob("result-*.json"))]
        if not left:
            raise Failed("it left no result")
        totals: Totals = {}
        for minute, status, method, count, size in (row for each in left for row in each["totals"]):
            group = (int(minute), int(status), str(method))
            before = totals.get(group, (0, 0))
            totals[group] = before[0] + count, before[1] + size
        worked = [each for each in left if each["totals"]]  # a process may have had no line
        if not worked:
            raise Failed("it counted nothing")
        began = min(each["first"] for each in worked)
        return Result(max(each["last"] for each in worked) - began, totals)
