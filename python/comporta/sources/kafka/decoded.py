"""Records that aiokafka has decoded, as batches: of the replay log, and where there is no other way."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from aiokafka.structs import ConsumerRecord

from comporta import payloads
from comporta.letters import identity, is_whole, to_text
from comporta.letters.wire import from_message
from comporta.payloads import LongRecord, SourceRecord
from comporta.sinks.contract import REPLAY
from comporta.sources.contract import OVERSIZED_HEAD, Batch, Limits
from comporta.sources.replay import letter_batch

logger = logging.getLogger(__name__)


def batches(
    name: str, records: Sequence[ConsumerRecord], first: int, next: int, limits: Limits
) -> Iterator[Batch]:
    """Batches of these records, which are all that there is in [first, next) of the partition `name`."""
    held: list[SourceRecord] = []
    size = 0
    for record in records:
        source_record = _source_record(name, record, limits)
        is_long = "length" in source_record
        length = sum(len(part) for part in (record.key, record.value) if part)
        is_full = size + length > limits.batch_bytes or len(held) >= limits.batch_records
        if held and (is_full or is_long or "length" in held[-1]):
            end = held[-1]["offset"] + 1
            yield _batch(name, first, end, held)
            first, held, size = end, [], 0
        held.append(source_record)
        size += length
    if next > first:
        yield _batch(name, first, next, held)


def _batch(name: str, first: int, next: int, records: list[SourceRecord]) -> Batch:
    return Batch(
        partition=name,
        shown=name,
        format="records",
        base=first,
        first=first,
        next=next,
        count=len(records),
        payload=payloads.pack(records),
    )


def _source_record(name: str, record: ConsumerRecord, limits: Limits) -> SourceRecord:
    made = SourceRecord(
        offset=record.offset,
        value=record.value,
        key=record.key,
        timestamp=record.timestamp if record.timestamp >= 0 else None,
        headers=list(record.headers),
        partition=name,
        shown=name,
        source_offset=record.offset,
    )
    parts = [record.key, record.value, *(value for _, value in record.headers)]
    if sum(map(len, filter(None, parts))) <= limits.max_record:
        return made
    value, key = record.value or b"", record.key or b""
    length = len(value)
    if record.headers or len(key) > OVERSIZED_HEAD:  # which are lost, and the length says so
        length += len(key) + sum(len(name) + len(content or b"") for name, content in record.headers)
    return LongRecord(
        **made
        | {
            "value": value[:OVERSIZED_HEAD],
            "key": record.key if len(key) <= OVERSIZED_HEAD else None,
            "headers": [],
        },  # type: ignore[typeddict-item]
        length=length,
    )


def replayed(
    records: Sequence[ConsumerRecord], first: int, next: int, pipeline: str, generation: str
) -> Iterator[Batch]:
    """Batches of the letters in [first, next) of the replay log, each of its own.

    Letters of other pipelines and generations, and those that lack a part of their record, are passed over.
    """
    for record in records:
        found = from_message(record.key, record.value, list(record.headers))
        if found is None or found[:2] != (pipeline, generation):
            continue
        letter = found[2]
        if not is_whole(letter):
            logger.warning("%s is not replayed: its letter is not whole", to_text(identity(letter)))
            continue
        yield letter_batch(letter, record.offset, first)
        first = record.offset + 1
    if next > first:
        yield _batch(REPLAY, first, next, [])
