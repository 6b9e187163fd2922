"""What a source is: where records come from, partition by partition, undecoded."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Literal

from comporta.payloads import AssignedPartition


@dataclass(frozen=True)
class SourceBatch:
    """Consecutive records of one partition, as bytes, covering the offsets from `first` up to but not
    including `next`.

    `count` is how many records there are, at most; `mark` a fingerprint of what lies before `next`, kept
    with the checkpoint and given back at the next start; `replay` the identity of the dead letter that a
    replayed record was.
    """

    partition: str
    shown: str
    assignment: int
    format: Literal["lines", "records", "oversized"]
    first: int
    next: int
    count: int
    payload: bytes
    mark: bytes = b""
    replay: tuple[str, int, int] | None = None


class Source(abc.ABC):
    """A source of partitions; `python/tests/source_contract.py` tests it.

    Nothing of a partition is read before `seek` says where, and after another `seek` reading goes on from
    there, under the new assignment. Batches of a partition are consecutive: each begins where the one before
    it ended.
    """

    unit: Literal["bytes", "records"]
    """What the distance between two offsets counts."""

    @abc.abstractmethod
    def discover(self) -> list[AssignedPartition]:
        """The partitions that came since the last call; the first call gives all that are there at the
        start."""

    @abc.abstractmethod
    def seek(self, partition: str, assignment: int, offset: int) -> None:
        """Read a partition from `offset` on, under `assignment`."""

    @abc.abstractmethod
    def read(self) -> SourceBatch | None:
        """The next batch of the partitions in turn, or None where there is nothing to read now."""

    @abc.abstractmethod
    def reached(self) -> list[tuple[str, int]]:
        """Until the end: partitions, and where they ended when the run started, that became known since the
        last call."""

    @abc.abstractmethod
    def ends(self) -> list[tuple[str, int]]:
        """Where the partitions end now, as far as that is known without reading them."""
