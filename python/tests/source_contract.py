"""What every source must do, whatever it reads: implementations subclass `SourceContract` and say how to make
one.
"""

from __future__ import annotations

import abc
import select
import time
from collections.abc import Callable, Sequence

import pytest

from comporta.errors import SourceError
from comporta.payloads import AssignedPartition
from comporta.sources import Batch, Limits, Source

LINES = [b"line %d" % number for number in range(2000)]
PATIENCE = 60.0  # seconds in which what is waited for must come
LIMITS = Limits(batch_bytes=1000, max_record=100_000)

Make = Callable[[Sequence[bytes], bool], Source]


class SourceContract(abc.ABC):
    """The tests read what `make` was given to hold."""

    can_be_read_again = True
    quiet = 0.0
    """Seconds without a batch after which a source surely has no more for now."""

    @abc.abstractmethod
    def make(self, records: Sequence[bytes], until_end: bool) -> Source:
        """A source of these records, in any number of partitions."""

    @abc.abstractmethod
    def values(self, batch: Batch) -> list[bytes]:
        """The records of a batch."""

    @pytest.fixture
    def source(self) -> Source:
        return self.make(LINES, True)

    def test_every_partition_is_told_of_once(self, source: Source) -> None:
        found = listed(source)
        assert found
        assert len({partition["partition"] for partition in found}) == len(found)
        assert source.is_listed()
        assert source.discover() == []

    def test_nothing_is_read_before_it_is_said_from_where(self, source: Source) -> None:
        listed(source)
        assert source.read() is None
        assert source.descriptors() == []

    @pytest.mark.parametrize("until_end", [True, False])
    def test_batches_follow_one_another_and_hold_every_record_once(self, until_end: bool) -> None:
        source = self.make(LINES, until_end)
        starts = begin(source)
        batches = read_all(source, self.quiet)
        assert sorted(value for batch in batches for value in self.values(batch)) == sorted(LINES)
        for batch in batches:
            assert batch.first == starts[batch.partition]
            assert batch.next > batch.first
            assert batch.count == len(self.values(batch))
            starts[batch.partition] = batch.next

    def test_the_end_of_each_partition_is_told_once_and_is_where_reading_ends(self, source: Source) -> None:
        starts = begin(source)
        reached = {batch.partition: batch.next for batch in read_all(source, self.quiet)}
        ends = source.ends()
        assert sorted(end for end in ends if end[1] > starts[end[0]]) == sorted(reached.items())
        assert source.ends() == []

    def test_no_end_is_told_of_what_is_followed(self) -> None:
        source = self.make(LINES, False)
        begin(source)
        read_all(source, self.quiet)
        assert source.ends() == []

    def test_what_was_read_can_be_read_again_and_is_the_same(self, source: Source) -> None:
        begin(source)
        batches = read_all(source, self.quiet)
        again = batches[len(batches) // 2]
        if not self.can_be_read_again:
            with pytest.raises(SourceError, match="cannot be read again"):
                source.seek(again.partition, again.first)
            return
        source.seek(again.partition, again.first)
        rest = [
            batch for batch in batches if batch.partition == again.partition and batch.first >= again.first
        ]
        assert list(map(content, read_all(source, self.quiet))) == list(map(content, rest))

    def test_a_partition_can_be_sought_between_two_batches(self, source: Source) -> None:
        if not self.can_be_read_again:
            pytest.skip("it can only be read once")
        begin(source)
        first = next_batch(source)
        assert first
        read = [content(first), content(next_batch(source) or first)]
        source.seek(first.partition, first.first)
        read += map(content, read_all(source, self.quiet))
        assert read.count(content(first)) == 2

    def test_checkpoints_change_nothing_of_what_is_read(self, source: Source) -> None:
        begin(source)
        values: list[bytes] = []
        while len(values) < len(LINES) and (batch := next_batch(source)):
            values += self.values(batch)
            source.checkpoint(batch.partition, batch.next)
            source.discover()
        assert sorted(values) == sorted(LINES)


def listed(source: Source) -> list[AssignedPartition]:
    """The partitions that there are at the start."""
    deadline = time.monotonic() + PATIENCE
    found = source.discover()
    while not source.is_listed():
        assert time.monotonic() < deadline, "partitions are not listed"
        time.sleep(0.01)
        found += source.discover()
    return found


def begin(source: Source) -> dict[str, int]:
    """Read every partition that there is at the start from where it starts."""
    starts = {partition["partition"]: partition["start"] for partition in listed(source)}
    for partition, start in starts.items():
        source.seek(partition, start)
    return starts


def next_batch(source: Source) -> Batch | None:
    """The next batch, waited for where that is what its source needs."""
    deadline = time.monotonic() + PATIENCE
    while not (batch := source.read()) and source.descriptors() and time.monotonic() < deadline:
        select.select(source.descriptors(), [], [], 0.05)
    return batch


def read_all(source: Source, quiet: float = 0.0) -> list[Batch]:
    """All batches that there are now; a source may need a second look to know that it has ended.

    There are no more once none has come for `quiet` seconds.
    """
    batches: list[Batch] = []
    looks = 0
    seen = time.monotonic()
    while looks < 2 or time.monotonic() < seen + quiet:
        if batch := source.read():
            batches.append(batch)
            seen = time.monotonic()
        else:
            looks += 1
            time.sleep(min(quiet, 0.01))
    return batches


def content(batch: Batch) -> tuple[str, int, int, bytes]:
    """What makes one batch equal to another."""
    return batch.partition, batch.first, batch.next, bytes(batch.payload)
