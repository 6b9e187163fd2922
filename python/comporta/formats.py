"""The formats that a batch's payload may have, and what decodes each."""

from __future__ import annotations

from comporta.kafka_decoding import decode_slice
from comporta.native_records import lines_natively
from comporta.records import Batch, Decoded, Lines, Oversized, SourceRecords, Tell

FORMATS: dict[str, type[Lines] | type[SourceRecords] | type[Oversized]] = {
    "lines": Lines,
    "records": SourceRecords,
    "oversized": Oversized,
}


def decode(batch: Batch, payload: bytes | memoryview, tell: Tell | None = None) -> Decoded:
    """The records in a batch's range. Raises `ValueError` on a payload that is not of the batch's format.

    What a format's headers show of the records is told before they are decoded; the others have none.
    """
    if batch.format == "kafka":
        return decode_slice(batch, payload, tell)
    if batch.format == "lines" and (lines := lines_natively(batch, payload)) is not None:
        return lines
    return FORMATS[batch.format](batch, payload)
