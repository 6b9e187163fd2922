"""What a source is: partitions of records, handed over undecoded in batches that follow one another without a
gap.

A source is driven by one loop, in one thread: it is asked what has come, never calls back, and no method
waits. One that has an event loop of its own keeps it behind these methods.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from comporta.payloads import AssignedPartition

Format = Literal["lines", "records", "oversized", "kafka"]

OVERSIZED_HEAD = 64 << 10
"""Bytes that are kept of a record that is too long to be handed over."""


MOST_RECORDS = 50_000
"""Records of a batch where nobody asks for fewer, as where they are only counted again."""


@dataclass
class Limits:
    """Bytes that a batch is aimed at, the most that one record may have, and the most records of a batch.

    The latter follow what the BEAM asks for, from one batch to the next.
    """

    batch_bytes: int
    max_record: int
    batch_records: int = MOST_RECORDS


@dataclass(frozen=True)
class Batch:
    """Records of one partition, those in [first, next): as many as `count`, undecoded.

    `base` is the offset of the payload's first byte or record. `mark` is a fingerprint of what lies before
    `next`, which the store keeps with a checkpoint there. `replay` is the letter (partition, offset, attempt)
    that is replayed. One that is `lost` has no records: they were deleted before they could be read.
    """

    partition: str
    shown: str
    format: Format
    base: int
    first: int
    next: int
    count: int
    payload: bytes | memoryview
    mark: bytes = b""
    replay: tuple[str, int, int] | None = None
    lost: bool = False


class Source(abc.ABC):
    """The contract that every source meets, and that `python/tests/source_contract.py` tests.

    Any method may raise `SourceError`, in words: then the pipeline stops, its position kept.
    """

    unit = "bytes"
    """What `backlog` counts in."""

    patience = math.inf
    """Seconds without a sign of life of the BEAM after which the source's process ends itself."""

    @abc.abstractmethod
    def discover(self) -> list[AssignedPartition]:
        """Partitions taken on since the last call; called first of all, about once a second, and where there
        is news.
        """

    def has_news(self) -> bool:
        """Whether `discover`, `revoked` or `ends` has something to tell, where that is cheap to know."""
        return False

    def revoked(self) -> list[str]:
        """Partitions lost since the last call: what is in flight of them is for others to do.

        Asked before `discover`, which may tell of the same partition again, newly taken on.
        """
        return []

    def wants_drain(self) -> bool:
        """Whether, now, partitions may be about to be lost: `read` gives nothing meanwhile, and what is in
        flight had best be finished and flushed; then `drained` is called.
        """
        return False

    def drained(self) -> None:  # noqa: B027
        """Nothing that was read is in flight any more, and all of it is durable."""

    @abc.abstractmethod
    def is_listed(self) -> bool:
        """Whether `discover` has told all the partitions that there were at the start."""

    @abc.abstractmethod
    def seek(self, partition: str, offset: int) -> None:
        """Read a partition from `offset` on, whatever was read of it before; until then it is not read at
        all.
        """

    @abc.abstractmethod
    def read(self) -> Batch | None:
        """The next batch of any partition, in turn, each beginning where the one before it ended; None: not
        now.
        """

    @abc.abstractmethod
    def ends(self) -> list[tuple[str, int]]:
        """Partitions and the ends that they had at the start, each told once, as soon as it is known."""

    def backlog(self) -> list[tuple[str, int]]:
        """Partitions and where they end now, as far as that is cheap to know."""
        return []

    def checkpoint(self, partition: str, upto: int) -> None:  # noqa: B027
        """What lies before `upto` is never asked for again: its effects are durable."""

    def close(self) -> None:  # noqa: B027
        """Nothing is asked of it any more; what `checkpoint` said may be passed on yet, within seconds."""

    def descriptors(self) -> Sequence[int]:
        """Descriptors that become readable when `read` has something; others are asked a few times a
        second.
        """
        return []
