"""Kafka's record batches decoded natively, into columns that become Python's objects when they are asked for.

What is well-formed is decoded so, where the package was built with a Rust compiler at hand. All else is left
to `kafka_records`, which judges it. What takes a look at headers alone is here too, for whoever has a twin of
it in Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain

from comporta.buffers import Buffers
from comporta.event_time import LATEST
from comporta.kafka_batches import Outline
from comporta.native import native
from comporta.records import Batch, Decoded, Header

MOST_CONTENT = 64 * 1024 * 1024
"""Decompressed bytes of a slice; as many are left to what a worker's memory is watched for."""


PART = 256
"""Values that are made at a time: they are still in the processor's cache when a transform gets them."""


def is_available() -> bool:
    """Whether record batches are decoded natively here."""
    return native is not None


def outline_natively(data: bytes, first: int, next: int) -> Outline | None:
    """What headers show of the record batches that `data` begins with, as `kafka_batches.outline`."""
    return None if native is None else Outline(*native.outline(data, first, next))


def decode_natively(batch: Batch, data: bytes) -> NativeRecords | None:
    """The records of a slice that are in the batch's range; None where they must be decoded in Python."""
    if native is None:
        return None
    columns = native.decode(data, batch.first, batch.next, MOST_CONTENT)
    return None if columns is None else NativeRecords(batch, columns)


def checksum_natively(data: bytes, begin: int, end: int) -> int | None:
    """The CRC-32C of these bytes."""
    return None if native is None else native.checksum(data, begin, end)


def is_sliceable_natively(data: bytes, most: int) -> bool | None:
    """Whether `data` holds only record batches of magic 2, none of which has more than `most` bytes."""
    return None if native is None else native.is_sliceable(data, most)


def extend_natively(
    data: bytes, run: tuple[int, int, int], bounds: tuple[int, int | None], most: tuple[int, int]
) -> tuple[int, int, int] | None:
    """How far a `run` of record batches, so many records from one byte up to another, reaches in a slice that
    has `bounds`, the offsets where it begins and ends, and `most` bytes and records.

    That is where it ends, the offset that follows, and how many records it has. None where what follows the
    run is not to be added, or not without a closer look. Nothing may be known of transactions that were
    aborted.
    """
    return None if native is None else native.extend(data, run, bounds, most)


class NativeRecords(Decoded):
    """Records of a slice, all of which could be decoded."""

    def __init__(self, batch: Batch, columns: native.Columns) -> None:
        super().__init__(batch, ())
        self._columns = columns

    @cached_property
    def values(self) -> Sequence[bytes | None]:
        return self._columns.values(0, self.count)

    def each(self) -> Iterable[bytes | None]:
        parts = range(0, self.count, PART)
        return chain.from_iterable(self._columns.values(begin, begin + PART) for begin in parts)

    @property
    def count(self) -> int:
        return len(self._columns)

    @property
    def middle(self) -> int | None:
        half = self.count // 2
        return self.offsets[half] if half else None

    @cached_property
    def offsets(self) -> Sequence[int]:
        return memoryview(self._columns.offsets()).cast("q")

    @property
    def ends(self) -> Sequence[int]:
        return [offset + 1 for offset in self.offsets]

    @property
    def keys(self) -> Sequence[bytes | None]:
        return self._columns.keys()

    @property
    def headers(self) -> Sequence[list[Header]]:
        return self._columns.headers()

    @property
    def timestamps(self) -> Sequence[int | None]:
        return self._columns.timestamps(LATEST)

    @property
    def buffers(self) -> Buffers:
        columns = self._columns
        lists, header_count, names, values = columns.header_buffers()
        return Buffers(
            value=columns.value_buffers(),
            key=columns.key_buffers(),
            timestamp=columns.timestamp_buffers(LATEST),
            offset=(0, None, columns.offsets()),
            headers=lists,
            header_count=header_count,
            header_names=names,
            header_values=values,
        )
