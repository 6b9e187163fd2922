"""What every source must do, whatever it reads: implementations subclass `SourceContract` and say how to make
one.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import pytest

from comporta.errors import SourceError
from comporta.sources import Batch, Limits, Source

LINES = [b"line %d" % number for number in range(2000)]
LIMITS = Limits(batch_bytes=1000, max_record=100_000)

Make = Callable[[Sequence[bytes], bool], Source]


class SourceContract(abc.ABC):
    """The tests read what `make` was given to hold."""

    can_be_read_again = True

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
        found = source.discover()
        assert found
        assert len({partition["partition"] for partition in found}) == len(found)
        assert source.is_listed()
        assert source.discover() == []

    def test_nothing_is_read_before_it_is_said_from_where(self, source: Source) -> None:
        source.discover()
        assert source.read() is None
        assert source.descriptors() == []

    @pytest.mark.parametrize("until_end", [True, False])
    def test_batches_follow_one_another_and_hold_every_record_once(self, until_end: bool) -> None:
        source = self.make(LINES, until_end)
        starts = begin(source)
        batches = read_all(source)
        assert sorted(value for batch in batches for value in self.values(batch)) == sorted(LINES)
        for batch in batches:
            assert batch.first == starts[batch.partition]
            assert batch.next > batch.first
            assert batch.count == len(self.values(batch))
            starts[batch.partition] = batch.next

    def test_the_end_of_each_partition_is_told_once_and_is_where_reading_ends(self, source: Source) -> None:
        begin(source)
        reached = {batch.partition: batch.next for batch in read_all(source)}
        ends = source.ends()
        assert sorted(ends) == sorted(reached.items())
        assert source.ends() == []

    def test_no_end_is_told_of_what_is_followed(self) -> None:
        source = self.make(LINES, False)
        begin(source)
        read_all(source)
        assert source.ends() == []

    def test_what_was_read_can_be_read_again_and_is_the_same(self, source: Source) -> None:
        begin(source)
        batches = read_all(source)
        again = batches[len(batches) // 2]
        if not self.can_be_read_again:
            with pytest.raises(SourceError, match="cannot be read again"):
                source.seek(again.partition, again.first)
            return
        source.seek(again.partition, again.first)
        rest = [
            batch for batch in batches if batch.partition == again.partition and batch.first >= again.first
        ]
        assert list(map(content, read_all(source))) == list(map(content, rest))

    def test_a_partition_can_be_sought_between_two_batches(self, source: Source) -> None:
        if not self.can_be_read_again:
            pytest.skip("it can only be read once")
        begin(source)
        first = source.read()
        assert first
        read = [content(first), content(source.read() or first)]
        source.seek(first.partition, first.first)
        read += map(content, read_all(source))
        assert read.count(content(first)) == 2

    def test_checkpoints_change_nothing_of_what_is_read(self, source: Source) -> None:
        begin(source)
        values = []
        while batch := source.read():
            values += self.values(batch)
            source.checkpoint(batch.partition, batch.next)
            source.discover()
        assert sorted(values) == sorted(LINES)


def begin(source: Source) -> dict[str, int]:
    """Read every new partition from its start."""
    starts = {partition["partition"]: partition["start"] for partition in source.discover()}
    for partition, start in starts.items():
        source.seek(partition, start)
    return starts


def read_all(source: Source) -> list[Batch]:
    """All batches that there are now; a source may need a second look to know that it has ended."""
    batches = [*iter(source.read, None), *iter(source.read, None)]
    return [batch for batch in batches if batch]


def content(batch: Batch) -> tuple[str, int, int, bytes]:
    """What makes one batch equal to another."""
    return batch.partition, batch.first, batch.next, bytes(batch.payload)
