"""Record batches of Kafka as a broker hands them out, and such as none should."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

HEADER = 61  # bytes before the records
Row = tuple["bytes | None", "bytes | None", list[tuple[str, "bytes | None"]], int]


def record_batch(
    base: int,
    rows: Sequence[Row],
    *,
    compression: int = 0,
    attributes: int = 0,
    offsets: Sequence[int] | None = None,
    last: int | None = None,
    producer: int = -1,
) -> bytes:
    """A record batch as a broker hands it out: `last` is the offset that its header ends with."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=producer,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 24,
    )
    for index, (key, value, headers, timestamp) in enumerate(rows):
        builder.append(
            offsets[index] - base if offsets else index,
            timestamp,
            key,
            value,
            headers,
        )
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    (flags,) = struct.unpack_from(">h", data, 21)
    struct.pack_into(">h", data, 21, flags | attributes)
    if last is not None:
        struct.pack_into(">i", data, 23, last - base)
    return sealed(data)


def sealed(data: bytearray) -> bytes:
    """With the checksum that it should have."""
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


def refilled(data: bytes, content: bytes, **header: int) -> bytes:
    """A record batch with other content, and other `records` in its header if so it is said."""
    made = bytearray(data[:HEADER] + content)
    struct.pack_into(">i", made, 8, len(made) - 12)
    if "records" in header:
        struct.pack_into(">i", made, 57, header["records"])
    if "compression" in header:
        struct.pack_into(">h", made, 21, header["compression"])
    return sealed(made)


def rows(*values: bytes | None) -> list[Row]:
    return [(None, value, [], 1_700_000_000_000) for value in values]


def bomb(records: int, size: int) -> bytes:
    """A record batch of records that have `size` MiB of zeros each, and is small nevertheless."""
    zeros = gzip.compress(bytes(1 << 20)) * size  # what was compressed in parts may be put together
    content = b""
    for number in range(records):
        begin = b"\0\0" + varint(number) + b"\x01" + varint(size << 20)
        length = varint(len(begin) + (size << 20) + 1)
        content += gzip.compress(length + begin) + zeros + gzip.compress(b"\0")
    return refilled(record_batch(0, rows(*[b""] * records)), content, compression=1)


def varint(number: int) -> bytes:
    """A number that is not negative, as records have it."""
    number <<= 1
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
