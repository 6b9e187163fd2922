"""Kafka's own record batches decoded in Python: any, and where they cannot be, why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import decode_varint_py as decode_varint  # the other one reads past the end

from comporta.event_time import is_time
from comporta.kafka_batches import HEADER, RecordBatch
from comporta.records import UNDECODABLE, Batch, Decoded, Failure, Header, Undecoded
from comporta.scalars import clean
from comporta.sources.contract import OVERSIZED_HEAD

DECOMPRESS = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}


class KafkaRecords(Decoded):
    """Records of the record batches that a slice has `inside`, with all that they carry: those in the batch's
    range.

    A record batch that cannot be decoded costs its own records only. None is decoded where the batch's
    verdict is that decoding kills.
    """

    def __init__(self, batch: Batch, data: bytes, inside: Sequence[RecordBatch]) -> None:
        self.undecoded: list[Undecoded] = []
        self._records: list[Any] = []
        self._parts: list[
            list[Any] | range
        ] = []  # by record batch: its records, or the offsets of those lost
        for each in inside:
            self._add(batch, data, each)
        super().__init__(batch, [record.value for record in self._records])

    def _add(self, batch: Batch, data: bytes, each: RecordBatch) -> None:
        try:
            if batch.reason == UNDECODABLE:
                raise ValueError(batch.verdict)
            records = decode_records(data, each, batch.first, batch.next)
        except ValueError as error:
            offsets = each.offsets(batch.first, batch.next)
            head = data[each.begin : each.end][:OVERSIZED_HEAD]
            self.undecoded.append(Undecoded(offsets, head, Failure(UNDECODABLE, clean(str(error)))))
            self._parts.append(offsets)
        else:
            self._records += records
            self._parts.append(records)

    @property
    def middle(self) -> int | None:
        index = sum(map(len, self._parts)) // 2
        for part in self._parts if index else []:
            if index < len(part):
                return part[index] if isinstance(part, range) else int(part[index].offset)
            index -= len(part)
        return None

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
    def headers(self) -> Sequence[Sequence[Header]]:
        return [record.headers for record in self._records]

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


def count_records(data: bytes, each: RecordBatch, first: int, next: int) -> int:
    """How many records in [first, next) one of the record batches in `data` has: as many as are consumed."""
    if each.is_within(first, next):
        return each.records
    if not each.reaches_into(first, next):
        return 0
    try:
        return len(decode_records(data, each, first, next))
    except ValueError:
        return len(each.offsets(first, next))


def decode_records(data: bytes, each: RecordBatch, first: int, next: int) -> list[Any]:
    """The records in [first, next) of one of the record batches in `data`.

    Raises `ValueError` where it cannot be decoded, or does not have the records that its header says.
    """
    content = data[each.begin : each.end]
    first, next = max(first, each.base_offset), min(next, each.next_offset)
    try:
        try:
            records = list(DefaultRecordBatch(content))
        except Exception:  # whatever the codecs raise
            records = _carefully(content)
        inside = [record for record in records if first <= record.offset < next]
        if len(records) != each.records:
            raise CorruptRecordException(f"it has {len(records)} records for {each.records} offsets")
        if len(inside) != each.records and not all(
            each.base_offset <= record.offset < each.next_offset for record in records
        ):
            raise CorruptRecordException("it has records at offsets that are not its own")
    except MemoryError:
        raise  # which says nothing of the content: another worker may do
    except BaseException as error:  # a panic of a codec is no `Exception`
        raise ValueError(
            f"the record batch at offset {each.base_offset} cannot be decoded, though its checksum is right:"
            f" {error}"
        ) from error
    return inside


def _carefully(data: bytes) -> list[_Record]:
    """The records of a record batch that aiokafka does not decode: some header's name is no text."""
    header = DefaultRecordBatch(data)
    compressed = data[HEADER.size :]
    decompress = DECOMPRESS.get(header.compression_type)
    buffer = bytearray(decompress(compressed) if decompress else compressed)
    count = HEADER.unpack_from(data)[-1]
    at = header.max_timestamp if header.timestamp_type else None
    position = 0
    records = []
    for _ in range(count):
        record, position = _record(buffer, position, header.base_offset, header.first_timestamp, at)
        records.append(record)
    if position != len(buffer):
        raise CorruptRecordException(f"{len(buffer) - position} bytes follow its records")
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
