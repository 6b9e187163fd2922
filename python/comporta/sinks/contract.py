"""What a sink is: the place where results take effect, exactly once.

A pipeline's effects belong to a generation, and in it to partitions. What has taken effect in a partition is
its `Checkpoint`. A `Snapshot` is a step from one checkpoint to the next together with everything that changes
on the way, as absolute values. `Sink.flush` decides such steps by comparison: a step from a checkpoint that
is no longer the partition's last has no effect at all. So a range of the log takes effect as one run of it
saw it, whoever ran it.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from comporta.generations import Generation
from comporta.letters import LetterId
from comporta.payloads import AssignedPartition, Letter, Origin

REPLAY = "replay"
"""The partition of the replay log, in which dead letters are counted that were replayed."""

KEPT_LONGER = 3600
"""Seconds that rows are kept beyond `retention`, as what is on its way may still touch them."""

Cell = tuple[int, str]
"""Where a row is within a metric: the start of its bucket (seconds since 1970 UTC) and its key (JSON)."""

RowsOfMetric = Mapping[int, Mapping[str, Any]]
"""Packed states of a metric's rows, by bucket and key."""


@dataclass(frozen=True)
class Ledger:
    """Records by how they ended: `consumed = counted + dropped + duplicates + dead`."""

    consumed: int = 0
    counted: int = 0
    dropped: int = 0
    duplicates: int = 0
    dead: int = 0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            self.consumed + other.consumed,
            self.counted + other.counted,
            self.dropped + other.dropped,
            self.duplicates + other.duplicates,
            self.dead + other.dead,
        )


@dataclass(frozen=True)
class Checkpoint:
    """Everything before the offset `upto` of a partition has taken effect, as the flush `flush` decided.

    `start` is the offset that the partition began at. `meta` and `mark` are the source's own, unread here.
    """

    partition: str
    shown: str
    start: int
    upto: int
    flush: str
    mark: bytes
    meta: bytes
    ledger: Ledger


class OutputRow(NamedTuple):
    """What is kept of a row, the one of that index of the record at `offset`: a JSON object, in text."""

    partition: str
    offset: int
    row_index: int
    row: str


@dataclass(frozen=True)
class Snapshot:
    """A step of one partition from the checkpoint `before` to `after`, whose flush id is new.

    `rows` are whole values by metric, bucket and key, packed; `replayed` are letters that this step counts.
    `output` are output rows, packed as a `Result` has them; those of replayed letters lie in other
    partitions.
    """

    before: Checkpoint
    after: Checkpoint
    rows: Mapping[str, RowsOfMetric]
    letters: Sequence[Letter]
    replayed: frozenset[LetterId]
    output: Sequence[bytes] = ()


class Sink(abc.ABC):
    """The contract that every sink meets, and that `python/tests/sink_contract.py` tests.

    What is not there for now (locked, full, unreachable) is waited for, with a log line, in every method;
    what cannot be mended by waiting raises `StoreError`. `flush` may run in a thread of its own beside any
    other method.
    """

    def close(self) -> None:  # noqa: B027
        """Let go of what is open; the sink is of no use any more."""

    @abc.abstractmethod
    def own(self, pipeline: str) -> str | None:
        """Make this process the pipeline's owner until it ends. If another one is, say who, in words."""

    @abc.abstractmethod
    def current(self, pipeline: str) -> Generation | None:
        """The pipeline's current generation, or None before its first run."""

    @abc.abstractmethod
    def install(self, generation: Generation, instead_of: str | None) -> bool:
        """Make a new generation current, if that of the id `instead_of` (None: none) still is; whether so."""

    @abc.abstractmethod
    def originate(self, generation: str, origin: Origin) -> Origin:
        """Decide where a generation began to read, unless that is decided; what holds."""

    @abc.abstractmethod
    def redefine(self, generation: Generation) -> None:
        """Write the definition and the retired metrics of a generation anew."""

    @abc.abstractmethod
    def forget(self, pipeline: str) -> None:
        """Delete everything of the pipeline's generations that are not current."""

    @abc.abstractmethod
    def generations(self, pipeline: str) -> list[str] | None:
        """The ids of all generations that the pipeline has had, forgotten ones too.

        None for a sink that several hosts may share.
        """

    @abc.abstractmethod
    def checkpoints(self, generation: str) -> list[Checkpoint]:
        """Every partition's checkpoint, as one consistent view, in the order in which they first came."""

    @abc.abstractmethod
    def open(self, generation: str, partitions: Sequence[AssignedPartition]) -> list[Checkpoint]:
        """The checkpoints to go on from, one for each partition, all that they decided being applied.

        A partition that was never seen gets a checkpoint at its `start`; one that is known keeps its own, and
        what is shown of it is renewed. From now on the generation is `started`. Raises `SupersededError` as
        `flush` does.
        """

    @abc.abstractmethod
    def read(self, generation: str, partition: str, metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        """The packed states of those cells that have a row."""

    @abc.abstractmethod
    def was_replayed(self, generation: str, letters: Sequence[LetterId]) -> set[LetterId]:
        """Those letters among `letters` whose replay has taken effect."""

    @abc.abstractmethod
    def flush(self, generation: str, snapshots: Sequence[Snapshot]) -> list[bool]:
        """Decide and apply snapshots, at most one a partition; did they take effect, wholly, or not at all?

        One that is flushed again after it took effect answers True. Raises `SupersededError` where the
        generation is not the current one any more; then none takes effect.
        """

    @abc.abstractmethod
    def expire(self, generation: str, metric: str, before: int) -> None:
        """Delete the metric's rows whose buckets start before `before` (seconds since 1970 UTC).

        A sink whose rows expire by themselves, as the generation's `retention` says, has nothing to do.
        """

    @abc.abstractmethod
    def expire_output_rows(self, generation: str, before: int) -> None:
        """Delete output rows whose time is before `before` (seconds since 1970 UTC), as `expire` does."""

    @abc.abstractmethod
    def rows(
        self, generation: str, metric: str, since: int | None, until: int | None
    ) -> Iterator[tuple[int, str, Any]]:
        """Bucket, key and state of all partitions' rows whose bucket starts in [since, until), by bucket."""

    @abc.abstractmethod
    def output_rows(self, generation: str, partitions: Sequence[str]) -> Iterator[OutputRow]:
        """The output rows of known partitions, one partition after another, by offset and index."""
