"""What a workload is: a pipeline, the events that are sent to it, and what must come of them.

To add one, write a class in a new file of `workloads/`; it is found there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

from comporta.chaos.results import Results

Kind = Literal["embedded", "cluster", "replicated"]
"""A system: files into SQLite; one Kafka, Cassandra and Redis; three nodes of each, with replicas."""

SYSTEMS: tuple[Kind, ...] = ("embedded", "cluster", "replicated")

SLOTS = 1000
"""Every workload counts its events by slot, so that one lost is not made up for by another counted twice."""


class Event(NamedTuple):
    """A record as it is sent. `timestamp` is in milliseconds, the producer's clock if it is not given."""

    value: bytes
    key: bytes | None = None
    timestamp: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Workload(ABC):
    """A pipeline, the events that are sent to it, and what its metrics must be.

    `code` is the FILE.py, whose pipeline has the metric `events`, counted by `slot`, which is an event's
    number modulo `SLOTS`; its transform calls `heed` first. `rate` is in events a second. `options` are words
    for `comporta run`, `environment` variables for it.
    """

    name: ClassVar[str]
    code: ClassVar[str]
    rate: ClassVar[int] = 2000
    systems: ClassVar[tuple[Kind, ...]] = SYSTEMS
    options: ClassVar[tuple[str, ...]] = ()
    environment: ClassVar[Mapping[str, str]] = {}
    is_transactional: ClassVar[bool] = False
    deduplicates: ClassVar[bool] = False

    @abstractmethod
    def event(self, number: int) -> Event:
        """The event of that number: always the same one."""

    def due(self, seconds: float) -> int:
        """How many events are to have been sent after so many seconds."""
        return int(seconds * self.rate)

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        """Those of the acknowledged events that are to count: not the duplicates, the dropped, the dead."""
        return acknowledged

    def dropped(self, acknowledged: Sequence[int]) -> int:
        """How many of the acknowledged events are to be dropped."""
        return 0

    def dead(self, acknowledged: Sequence[int]) -> int:
        """How many of the acknowledged events are to be dead letters."""
        return 0

    @abstractmethod
    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        """What is wrong with the other metrics, in words."""
