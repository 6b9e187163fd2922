"""Slices of Kafka's own record batches, decoded where their records are worked on."""

from __future__ import annotations

from collections.abc import Sequence

from comporta.kafka_batches import RecordBatch, record_batches
from comporta.kafka_native import decode_natively
from comporta.records import UNDECODABLE, Batch, Decoded, Tell


def decode_slice(batch: Batch, payload: bytes | memoryview, tell: Tell | None = None) -> Decoded:
    """The records of a slice that are in the batch's range, once it is told what headers show of them.

    None is decoded where the batch's verdict is that decoding kills. Raises `ValueError` on anything in the
    slice that is no record batch.
    """
    data = bytes(payload)
    found = _record_batches(batch, data)
    inside = [each for each in found if each.reaches_into(batch.first, batch.next)]
    if tell is not None:
        tell(*_outline(batch, inside))
    if batch.reason != UNDECODABLE and (records := decode_natively(batch, data, inside)) is not None:
        return records
    from comporta.kafka_records import KafkaRecords  # only where it is needed: aiokafka is large

    return KafkaRecords(batch, data, inside)


def _record_batches(batch: Batch, data: bytes) -> list[RecordBatch]:
    """Those of a slice. Raises `ValueError` on anything else in it."""
    found = list(record_batches(data))
    end = found[-1].end if found else 0
    if end != len(data):
        raise ValueError(
            f"{batch.shown}: {len(data) - end} bytes after offset {batch.first} are no record batch"
        )
    return found


def _outline(batch: Batch, inside: Sequence[RecordBatch]) -> tuple[int, int | None]:
    """How many records there are, and where half of the record batches follow; None where one is alone."""
    count = sum(len(each.offsets(batch.first, batch.next)) for each in inside)
    return count, inside[len(inside) // 2].base_offset if len(inside) > 1 else None
