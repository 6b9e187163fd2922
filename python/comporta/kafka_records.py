"""Slices of Kafka's own record batches, decoded where their records are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka import codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from comporta.event_time import is_time
from comporta.records import Batch, Decoded, Header

DECOMPRESS = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}
HEADER_SIZE = 61  # bytes of a record batch before its records


class KafkaRecords(Decoded):
    """Records of a slice, with all that they carry: those in the batch's range."""

    def __init__(self, batch: Batch, payload: bytes | memoryview) -> None:
        self._records = [
            record
            for records in _record_batches(batch, bytes(payload))
            for record in records
            if batch.first <= record.offset < batch.next
        ]
        super().__init__(batch, [record.value for record in self._records])

    @property
    def middle(self) -> int | None:
        half = self.count // 2
        return self._records[half].offset if half else None

    @property
    def offsets(self) -> Sequence[int]:
        return [record.offset for record in self._records]

    @property
    def ends(self) -> Sequence[int]:
        return [record.offset + 1 for record in self._records]

    @property
    def keys(self) -> Sequence[bytes | None]:
        return [record.key for record in self._records]

    @property
    def headers(self) -> Sequence[list[Header]]:
        return [list(record.headers) for record in self._records]

    @property
    def timestamps(self) -> Sequence[int | None]:
        stamps = [record.timestamp for record in self._records]
        return [stamp if stamp is not None and stamp >= 0 and is_time(stamp) else None for stamp in stamps]


class _Record(NamedTuple):
    """A record as aiokafka's have it, as far as it is needed."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[Header]


def _record_batches(batch: Batch, data: bytes) -> Iterator[Sequence[Any]]:
    """The records of each record batch. Raises `ValueError` for one that cannot be decoded."""
    memory = MemoryRecords(data)
    begin = 0
    while memory.has_next():
        records = memory.next_batch()
        assert isinstance(records, DefaultRecordBatch)  # the source hands over no other
        length = int.from_bytes(data[begin + 8 : begin + 12], "big")
        end = begin + 12 + length
        try:
            yield list(records)
        except Exception:  # whatever the codecs raise
            yield _carefully(batch, data[begin:end], records)
        begin = end
    if begin != len(data):
        raise ValueError(
            f"{batch.shown}: {len(data) - begin} bytes after offset {batch.first} are no record batch"
        )


def _carefully(batch: Batch, data: bytes, header: Any) -> list[_Record]:
    """The records of a record batch that aiokafka does not decode: some header's name is no text."""
    try:
        compressed = data[HEADER_SIZE:]
        decompress = DECOMPRESS.get(header.compression_type)
        buffer = bytearray(decompress(compressed) if decompress else compressed)
        count = int.from_bytes(data[HEADER_SIZE - 4 : HEADER_SIZE], "big")
        at = header.max_timestamp if header.timestamp_type else None
        position = 0
        records = []
        for _ in range(count):
            record, position = _record(buffer, position, header.base_offset, header.first_timestamp, at)
            records.append(record)
    except Exception as error:
        raise ValueError(
            f"{batch.shown}: the record batch at offset {header.base_offset} cannot be decoded, though"
            f" its checksum is right: {error}"
        ) from error
    return records


def _record(
    buffer: bytearray, position: int, base_offset: int, first_timestamp: int, at: int | None
) -> tuple[_Record, int]:
    """The record at `position`, and where it ends (https://kafka.apache.org/documentation/#record)."""
    length, position = decode_varint(buffer, position)
    end = position + length
    delta, position = decode_varint(buffer, position + 1)  # after the attributes, which are unused
    offset, position = decode_varint(buffer, position)
    key, position = _bytes(buffer, position)
    value, position = _bytes(buffer, position)
    count, position = decode_varint(buffer, position)
    headers: list[Header] = []
    for _ in range(count):
        name, position = _bytes(buffer, position)
        content, position = _bytes(buffer, position)
        headers.append(((name or b"").decode("utf-8", "backslashreplace"), content))
    if position != end:
        raise CorruptRecordException(f"a record of {length} bytes ends {end - position} bytes early")
    timestamp = first_timestamp + delta if at is None else at
    return _Record(base_offset + offset, timestamp, key, value, headers), end


def _bytes(buffer: bytearray, position: int) -> tuple[bytes | None, int]:
    length, position = decode_varint(buffer, position)
    if length < 0:
        return None, position
    if position + length > len(buffer):
        raise CorruptRecordException("a field ends after its record batch")
    return bytes(buffer[position : position + length]), position + length
