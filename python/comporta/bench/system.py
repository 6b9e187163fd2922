"""What a system is that does the job, and how a run of it tells what it has counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple


class Unavailable(Exception):
    """A system cannot be installed here: why, in one line, with its version and the installer's error."""


class Job(NamedTuple):
    """What is to be counted: a topic, or a file of the same lines, and in how many processes.

    Each partition holds `lines / partitions` of them. `folder` is new for each run; the consumer group of
    the run is named for it, and starts at the earliest offset.
    """

    kafka: str
    topic: str
    partitions: int
    lines: int
    processes: int
    folder: Path
    file: Path | None = None

    @property
    def group(self) -> str:
        """The consumer group of this run alone."""
        return self.folder.name


class System(ABC):
    """A system, as processes that do the job.

    Each of them ends by itself once its share of `job.lines` is counted, and leaves `result-*.json` in the
    job's folder: `{"first", "last", "totals"}`. `first` is the unix time when its first record was at hand,
    `last` when its last was counted, `totals` a list of `[minute, status, method, count, bytes]`. The
    harness adds up what all files have.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def install(self, cache: Path) -> None:  # noqa: B027
        """Install what is needed into `cache / name`; quick if it is there. Raises `Unavailable`."""

    @abstractmethod
    def commands(self, job: Job) -> list[list[str]]:
        """The processes to start at once; the run has ended when all of them have."""
