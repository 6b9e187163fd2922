"""Kafka's record batches as their headers describe them, which nobody need decode for that.

The layout is that of the Kafka protocol's record batch, magic 2
(https://kafka.apache.org/documentation/#recordbatch).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct(">qiibIhiqqqhii")
BEFORE_LENGTH = 12  # bytes up to and including the length, which counts those after it
MAGIC_INDEX = 16
CRC_FROM = 21  # the checksum is of the attributes and all that follows
TRANSACTIONAL = 0x10
CONTROL = 0x20


class RecordBatch(NamedTuple):
    """What the header of a record batch says, and where it is in the bytes that hold it.

    `records` are no more than there are offsets, whatever the header says.
    """

    begin: int
    end: int
    base_offset: int
    next_offset: int
    records: int
    checksum: int
    producer: int
    is_transactional: bool
    is_control: bool

    def is_within(self, first: int, next: int) -> bool:
        """Whether all of its offsets are in [first, next)."""
        return first <= self.base_offset and self.next_offset <= next

    def reaches_into(self, first: int, next: int) -> bool:
        """Whether it has records of which some may be in [first, next)."""
        return self.records > 0 and self.base_offset < next and first < self.next_offset

    def offsets(self, first: int, next: int) -> range:
        """Offsets in [first, next) for its records: their own, as far as the header tells, one for each."""
        return range(max(first, self.base_offset), min(next, self.base_offset + self.records))


class Outline(NamedTuple):
    """What headers show of the record batches that some bytes begin with, and where those end.

    Of those that reach into a range of offsets it is how many records they have in it, as far as headers
    tell, and where half of the record batches follow; None where one is alone.
    """

    end: int
    records: int
    middle: int | None


def outline(data: bytes, first: int, next: int) -> Outline:
    """What headers show of the record batches that `data` begins with."""
    end = records = 0
    inside = []
    for each in record_batches(data):
        end = each.end
        if each.reaches_into(first, next):
            inside.append(each.base_offset)
            records += len(each.offsets(first, next))
    return Outline(end, records, inside[len(inside) // 2] if len(inside) > 1 else None)


def record_batches(data: bytes, begin: int = 0) -> Iterator[RecordBatch]:
    """The record batches that are whole, in order, from the one at `begin` on."""
    last_begin = len(data) - HEADER.size
    while begin <= last_begin:
        (base_offset, length, _, _, checksum, attributes, last_delta, _, _, producer, _, _, count) = (
            HEADER.unpack_from(data, begin)
        )
        end = begin + BEFORE_LENGTH + length
        if length < HEADER.size - BEFORE_LENGTH or end > len(data):
            return
        yield RecordBatch(  # by position: there may be as many as records
            begin,
            end,
            base_offset,
            base_offset + last_delta + 1,
            max(0, min(count, last_delta + 1)),
            checksum,
            producer,
            bool(attributes & TRANSACTIONAL),
            bool(attributes & CONTROL),
        )
        begin = end
