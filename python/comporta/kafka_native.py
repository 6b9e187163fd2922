"""Kafka's record batches decoded natively, into columns that become Python's objects when they are asked for.

What is well-formed is decoded so, where the package was built with a Rust compiler at hand. All else is left
to `kafka_records`, which judges it. What takes a look at headers alone is here too, for whoever has a twin of
it in Python.
"""

from __future__ import annotations

from comporta.kafka_batches import Outline
from comporta.native import native
from comporta.native_records import NativeRecords
from comporta.records import Batch

MOST_CONTENT = 64 * 1024 * 1024
"""Decompressed bytes of a slice; as many are left to what a worker's memory is watched for."""


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
