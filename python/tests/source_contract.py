"""What every source must do, whatever it reads: implementations subclass `SourceContract`."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence

import pytest

from comporta.sources import Source, SourceBatch

LINES = [b"line %d" % number for number in range(2000)]


class SourceContract(abc.ABC):
    """The tests read what `make` was given to hold."""

    @abc.abstractmethod
    def make(self, records: Sequence[bytes], until_end: bool = True) -> Source:
        """A source of these records, in any number of partitions, starting at their beginning."""

    @abc.abstractmethod
    def values(self, batch: SourceBatch) -> list[bytes]:
        """The records of a batch."""

    @pytest.fixture
    def source(self) -> Iterator[Source]:
        return self.make(LINES)

    def test_partitions_are_discovered_once(self, source: Source) -> None:
        first = source.discover()
        assert first
        assert len({partition["partition"] for partition in first}) == len(first)
        assert source.discover() == []

    def test_nothing_is_read_before_it_is_said_where(self, source: Source) -> None:
        source.discover()
        assert source.read() is None

    def test_everything_is_read_once_in_consecutive_ranges(self, source: Source) -> None:
        batches = drain(source)
        values = [value for batch in batches for value in self.values(batch)]
        assert sorted(values) == sorted(LINES)
        positions: dict[str, int] = {}
        for batch in batches:
            assert batch.first == positions.get(batch.partition, 0)
            assert batch.next > batch.first
            assert batch.count == len(self.values(batch))
            assert batch.assignment == 7
            positions[batch.partition] = batch.next

    def test_until_the_end_every_end_is_told_and_is_where_reading_ended(self, source: Source) -> None:
        ends: dict[str, int] = {}
        positions = {batch.partition: batch.next for batch in drain(source, ends)}
        assert ends == positions

    def test_reading_goes_on_where_seek_says(self, source: Source) -> None:
        batches = drain(source)
        middle = batches[len(batches) // 2]
        source.seek(middle.partition, 8, middle.first)
        again = list(iter(source.read, None))
        assert {batch.assignment for batch in again} == {8}
        rest = [b for b in batches[len(batches) // 2 :] if b.partition == middle.partition]
        assert [v for b in again for v in self.values(b)] == [v for b in rest for v in self.values(b)]


def drain(source: Source, ends: dict[str, int] | None = None) -> list[SourceBatch]:
    """All batches that there are now, read from the beginning under assignment 7."""
    for partition in source.discover():
        source.seek(partition["partition"], 7, partition["start"])
    batches = []
    while batch := source.read():
        batches.append(batch)
        if ends is not None:
            ends.update(source.reached())
    if ends is not None:
        ends.update(source.reached())
    return batches
