"""Kafka's own record batches, cut from what was fetched as slices that nobody has decoded.

Messages older than record batches are left to aiokafka to decode.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition

from comporta.errors import SourceError
from comporta.kafka_batches import (
    BEFORE_LENGTH,
    CRC_FROM,
    HEADER,
    MAGIC_INDEX,
    RecordBatch,
    record_batches,
)
from comporta.kafka_native import checksum_natively, extend_natively, is_sliceable_natively
from comporta.sources.contract import Limits


@dataclass(frozen=True)
class Slice:
    """Record batches that follow one another: at most `count` records in [first, next).

    The payload may begin with records before `first`, and what is left out lies between `first` and `next`.
    """

    base: int
    first: int
    next: int
    count: int
    payload: memoryview


def is_sliceable(data: bytes, limits: Limits) -> bool:
    """Whether `data` holds only record batches of magic 2, none of which is longer than a record may be."""
    if (seen := is_sliceable_natively(data, limits.max_record)) is not None:
        return seen
    begin = 0
    while begin + HEADER.size <= len(data):
        (length,) = struct.unpack_from(">i", data, begin + 8)
        if data[begin + MAGIC_INDEX] != 2 or BEFORE_LENGTH + length > limits.max_record:
            return False
        begin += BEFORE_LENGTH + max(0, length)
    return True


@dataclass
class _Run:
    """Record batches that follow one another in what was fetched, those of a slice that is being made."""

    begin: int
    end: int
    base: int
    next: int
    count: int


class Cutter:
    """Cuts what was fetched of one partition at `position` into slices, each beginning where the one before
    ended.

    Left out are control batches and those of the transactions that `aborted` names as (producer, first
    offset); a slice without any bytes moves the position on where nothing else does. Slices end where
    `until` is, if that is within. Raises `SourceError` for a record batch whose checksum is wrong, and for a
    control batch that cannot be read.
    """

    def __init__(
        self,
        partition: TopicPartition,
        data: bytes,
        aborted: Sequence[tuple[int, int]],
        position: int,
        until: int | None,
        limits: Limits,
    ) -> None:
        self.position = position
        self._partition = partition
        self._data = data
        self._view = memoryview(data)
        self._transactions = sorted(aborted, key=lambda each: each[1], reverse=True)
        self._aborted: set[int] = set()
        self._until = until
        self._limits = limits

    def slices(self) -> Iterator[Slice]:
        """The slices; `position` is where the last one that was given ends."""
        held: _Run | None = None
        skipped_to = self.position
        batches = record_batches(self._data)
        while (batch := next(batches, None)) is not None:
            self._check(batch)
            is_left_out = self._is_left_out(batch)
            if batch.next_offset <= self.position:
                continue
            is_full = held is not None and (
                batch.end - held.begin > self._limits.batch_bytes
                or held.count + batch.records > self._limits.batch_records
            )
            is_past_end = self._until is not None and self.position < self._until <= batch.base_offset
            if held is not None and (is_left_out or is_full or is_past_end):
                yield self._slice(held)
                held = None
            if self._until is not None and self.position < self._until <= batch.base_offset:
                yield self._nothing(self._until)
            if is_left_out:
                skipped_to = batch.next_offset
                continue
            if held is None:
                held = _Run(batch.begin, batch.end, batch.base_offset, batch.next_offset, batch.records)
            else:
                held.end, held.next = batch.end, batch.next_offset
                held.count += batch.records
            if self._extend(held):
                batches = record_batches(self._data, held.end)
        if held is not None:
            yield self._slice(held)
        if skipped_to > self.position:
            yield self._nothing(skipped_to)

    def _extend(self, held: _Run) -> bool:
        """Add at once what follows and needs no closer look, if there is any, as there may be as many record
        batches as records.
        """
        if self._transactions or self._aborted:
            return False
        run = (held.begin, held.end, held.count)
        bounds = (self.position, self._until)
        most = (self._limits.batch_bytes, self._limits.batch_records)
        if (reached := extend_natively(self._data, run, bounds, most)) is None:
            return False
        held.end, held.next, held.count = reached
        return True

    def _slice(self, held: _Run) -> Slice:
        first, self.position = self.position, held.next
        return Slice(held.base, first, held.next, held.count, self._view[held.begin : held.end])

    def _nothing(self, next: int) -> Slice:
        first, self.position = self.position, next
        return Slice(first, first, next, 0, self._view[:0])

    def _check(self, batch: RecordBatch) -> None:
        begin = batch.begin + CRC_FROM
        found = checksum_natively(self._data, begin, batch.end)
        if found is None:
            found = calc_crc32c(self._view[begin : batch.end])
        if found != batch.checksum:
            raise self._damaged(batch, "its checksum is wrong, on the broker's disk or on the way from there")

    def _is_left_out(self, batch: RecordBatch) -> bool:
        """Whether it is a control batch, or one of an aborted transaction, as the protocol tells them."""
        while self._transactions and self._transactions[-1][1] <= batch.base_offset:
            self._aborted.add(self._transactions.pop()[0])
        if batch.is_control:
            if self._is_abort(batch):
                self._aborted.discard(batch.producer)
            return True
        return batch.records == 0 or (batch.is_transactional and batch.producer in self._aborted)

    def _is_abort(self, batch: RecordBatch) -> bool:
        try:
            for record in DefaultRecordBatch(self._data[batch.begin : batch.end]):
                return bool(ControlRecord.parse(record.key or b"") == ABORT_MARKER)
        except Exception as error:  # of whatever kind the bytes happen to lead to
            raise self._damaged(batch, f"it ends a transaction, and cannot be read ({error})") from None
        return False

    def _damaged(self, batch: RecordBatch, why: str) -> SourceError:
        topic, number = self._partition
        return SourceError(
            f"{topic}/{number}: the record batch at offset {batch.base_offset} is damaged: {why}; see"
            " `kafka-dump-log.sh` there"
        )


class Fetched:
    """Stands in for aiokafka's `MemoryRecords` in its fetcher: the bytes as they came."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def has_next(self) -> bool:
        if self.data[MAGIC_INDEX : MAGIC_INDEX + 1] in (b"\0", b"\1"):  # it may be shorter than HEADER
            return bool(MemoryRecords(self.data).has_next())
        return next(record_batches(self.data), None) is not None

    def size_in_bytes(self) -> int:
        return len(self.data)


class FetchedPartition:
    """Stands in for aiokafka's `PartitionRecords` in its fetcher: an iterator of slices."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._slices = cutter.slices()

    @property
    def next_fetch_offset(self) -> int:
        return self._cutter.position

    def __iter__(self) -> Iterator[Slice]:
        return self

    def __next__(self) -> Slice:
        return next(self._slices)


Until = Callable[[TopicPartition], "int | None"]


def partition_records(decoding: Any, memory: Any, limits: Limits, until: Until, is_decoded: Any) -> Any:
    """What a fetcher makes of each partition's part of an answer, called as `PartitionRecords` is.

    `decoding` and `memory` are the classes of aiokafka for what cannot be sliced: partitions that
    `is_decoded` says, messages older than record batches, and batches longer than a record may be.
    """

    def make(
        partition: TopicPartition,
        records: Fetched,
        aborted: Sequence[tuple[int, int]] | None,
        position: int,
        *rest: Any,
    ) -> Any:
        if is_decoded(partition) or not is_sliceable(records.data, limits):
            return decoding(partition, memory(records.data), aborted, position, *rest)
        return FetchedPartition(
            Cutter(partition, records.data, aborted or (), position, until(partition), limits)
        )

    return make
