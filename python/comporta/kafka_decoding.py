"""Slices of Kafka's own record batches, decoded where their records are worked on."""

from __future__ import annotations

from comporta.kafka_batches import outline, record_batches
from comporta.kafka_native import decode_natively, outline_natively
from comporta.records import UNDECODABLE, Batch, Decoded, Tell


def decode_slice(batch: Batch, payload: bytes | memoryview, tell: Tell | None = None) -> Decoded:
    """The records of a slice that are in the batch's range, once it is told what headers show of them.

    None is decoded where the batch's verdict is that decoding kills. Raises `ValueError` on anything in the
    slice that is no record batch.
    """
    data = bytes(payload)
    shown = outline_natively(data, batch.first, batch.next) or outline(data, batch.first, batch.next)
    if shown.end != len(data):
        raise ValueError(
            f"{batch.shown}: {len(data) - shown.end} bytes after offset {batch.first} are no record batch"
        )
    if tell is not None:
        tell(shown.records, shown.middle)
    if batch.reason != UNDECODABLE and (records := decode_natively(batch, data)) is not None:
        return records
    from comporta.kafka_records import KafkaRecords  # only where it is needed: aiokafka is large

    inside = [each for each in record_batches(data) if each.reaches_into(batch.first, batch.next)]
    return KafkaRecords(batch, data, inside)
