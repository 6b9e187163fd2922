"""What the native decoder of record batches makes of them is what the one in Python does."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cramjam
import pytest
from aiokafka import codec
from hypothesis import given, settings
from hypothesis import strategies as st
from record_batches import HEADER, Row, bomb, record_batch, refilled, rows, sealed

from comporta import arrow, kafka_native
from comporta.event_time import LATEST
from comporta.formats import decode
from comporta.kafka_records import KafkaRecords
from comporta.native_records import PART, NativeRecords
from comporta.records import Batch, Decoded, Failure

Compress = Callable[[bytes], bytes]
NATIVE = NativeRecords if kafka_native.is_available() else KafkaRecords
COMPRESS: dict[int, list[Compress]] = {
    0: [bytes],
    1: [codec.gzip_encode],
    2: [codec.snappy_encode, lambda content: bytes(codec.snappy_encode(content, xerial_compatible=False))],
    3: [codec.lz4_encode, lambda content: bytes(cramjam.lz4.compress(content))],
    4: [codec.zstd_encode],
}
HOSTILE = """
import resource, struct, sys
sys.path.insert(0, sys.argv[1])
from record_batches import record_batch, refilled, rows
from comporta import kafka_native

plain = record_batch(0, rows(b"a" * 100))
most = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for compression, content in [
    (0, b"\\xfe\\xff\\xff\\xff\\x0f" + plain[62:]),  # a record of 2 GiB
    (2, b"\\xff\\xff\\xff\\xff\\x0f" + plain[61:]),  # snappy that says 4 GiB
    (4, b"\\x28\\xb5\\x2f\\xfd\\xe0" + b"\\xff" * 7 + b"\\x00" + plain[61:]),  # zstd of 64 PiB in one segment
]:
    many = bytearray(refilled(plain, content, compression=compression, records=1 << 30))
    struct.pack_into(">i", many, 23, (1 << 30) - 1)
    for data in (refilled(plain, content, compression=compression), bytes(many)):
        assert not kafka_native.native or kafka_native.native.decode(data, 0, 9, 1 << 26) is None
"""


def decoded(payload: bytes, first: int = 0, next: int = 1 << 40) -> Decoded:
    return decode(Batch("kafka", "topic/0", "topic/0", first, first, next, 0), payload)


def decoded_in_python(payload: bytes, first: int = 0, next: int = 1 << 40) -> Decoded:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_native, "native", None)
        found = decoded(payload, first, next)
    assert isinstance(found, KafkaRecords)
    return found


def shown(found: Decoded) -> dict[str, Any]:
    """All that can be asked of records."""
    letters = found.letters(dict.fromkeys(range(found.count), Failure("exception", "ValueError")))
    return {
        "count": found.count,
        "middle": found.middle,
        "each": list(found.each()),
        "values": list(found.values),
        "offsets": list(found.offsets),
        "ends": list(found.ends),
        "keys": list(found.keys),
        "headers": list(found.headers),
        "timestamps": list(found.timestamps),
        "lengths": list(found.lengths),
        "records": found.records(),
        "letters": [{**letter, "at": None} for letter in letters],
        "undecoded": list(found.undecoded),
    }


def check(payload: bytes, first: int = 0, next: int = 1 << 40) -> Decoded:
    """Both decoders make the same of it; what the one that is used here makes of it."""
    found, expected = decoded(payload, first, next), decoded_in_python(payload, first, next)
    assert shown(found) == shown(expected)
    made = arrow.record_batch(found)
    made.validate(full=True)
    assert made.equals(arrow.record_batch(expected))
    return found


some_bytes = st.none() | st.binary(max_size=300)
names = st.text(st.characters(codec="utf-8"), max_size=20)
timestamps = st.integers(-2, 1 << 41) | st.sampled_from([-1, 0, LATEST, LATEST + 1])
row = st.tuples(some_bytes, some_bytes, st.lists(st.tuples(names, some_bytes), max_size=3), timestamps)


@st.composite
def record_batches(draw: st.DrawFn, base: int) -> bytes:
    """A record batch as a producer may make one."""
    records: list[Row] = draw(st.lists(row, min_size=1, max_size=8))
    steps = draw(st.lists(st.integers(1, 200), min_size=len(records), max_size=len(records)))
    offsets = [base + sum(steps[:index]) for index in range(len(records))]
    attributes = draw(st.sampled_from([0, 0x08, 0x10]))
    data = record_batch(base, records, offsets=offsets, last=offsets[-1] + 3, attributes=attributes)
    compression = draw(st.sampled_from(sorted(COMPRESS)))
    compress = draw(st.sampled_from(COMPRESS[compression]))
    return refilled(data, compress(data[HEADER:]), compression=compression | attributes)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_well_formed_record_batches_are_decoded_natively_and_alike(data: st.DataObject) -> None:
    payload = data.draw(record_batches(10)) + data.draw(record_batches(3000))
    first = data.draw(st.integers(0, 1800) | st.just(0))
    next = data.draw(st.integers(first, 5000) | st.just(5000))
    assert isinstance(check(payload, first, next), NATIVE)


@pytest.mark.parametrize("count", [PART - 1, PART, PART + 1, 3 * PART])
def test_values_that_are_made_a_few_at_a_time_are_all_there(count: int) -> None:
    values = [None if number % 7 == 0 else b"%d" % number for number in range(count)]
    assert list(decoded(record_batch(0, rows(*values))).each()) == values


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Content that was cut off, or of which a part is missing, is another, or is there twice."""
    begin = draw(st.integers(0, len(content)))
    end = draw(st.integers(begin, min(len(content), begin + 20)))
    part = draw(
        st.sampled_from([b"", content[begin:end] * 2, b"\0", b"\xff" * 9, content]) | st.binary(max_size=9)
    )
    return content[:begin] + part + (b"" if draw(st.integers(0, 5)) == 0 else content[end:])


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_damaged_record_batches_are_judged_alike(data: st.DataObject) -> None:
    whole = data.draw(record_batches(10))
    if data.draw(st.booleans()):
        made = refilled(whole, data.draw(damaged(whole[HEADER:])))
    else:  # damaged before it was compressed
        plain = record_batch(10, data.draw(st.lists(row, min_size=1, max_size=4)))
        compression = data.draw(st.sampled_from(sorted(COMPRESS)))
        compress = data.draw(st.sampled_from(COMPRESS[compression]))
        made = refilled(plain, compress(data.draw(damaged(plain[HEADER:]))), compression=compression)
    check(record_batch(5, rows(b"x", b"y")) + made + record_batch(5000, rows(b"z")))


@pytest.mark.parametrize("compression", COMPRESS)
def test_content_that_is_cut_off_or_damaged_anywhere_is_judged_alike(compression: int) -> None:
    plain = record_batch(0, rows(b"a" * 20, b"b"))
    for compress in COMPRESS[compression]:
        content = compress(plain[HEADER:])
        for index in range(len(content)):
            for damage in (b"", content[index:] + b"\0", bytes([content[index] ^ 1]) + content[index + 1 :]):
                check(refilled(plain, content[:index] + damage, compression=compression))


def lz4_frame(block: bytes) -> bytes:
    """A frame of one block, without checksums."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(block)) + block + bytes(4)


@pytest.mark.parametrize("literals", range(1, 8))
def test_lz4_that_ends_in_fewer_literals_than_it_must_is_judged_alike(literals: int) -> None:
    plain = record_batch(0, rows(b"a" * 19 + b"b" * (literals - 1)))
    content = plain[HEADER:]
    begin = content.index(b"a") + 1
    block = bytes([begin << 4 | 14]) + content[:begin] + b"\x01\0"  # "a", 18 times more
    block += bytes([literals << 4]) + content[-literals:]
    found = check(refilled(plain, lz4_frame(block), compression=3))
    assert found.undecodable == (literals < 5)
    assert isinstance(found, KafkaRecords if literals < 5 else NATIVE)


def test_a_frame_of_zstd_that_is_shorter_than_it_says_is_judged_alike() -> None:
    plain = record_batch(0, rows(b"a"))
    content = codec.zstd_encode(plain[HEADER:])
    empty = b"\x28\xb5\x2f\xfd\x20\xff\x01\0\0"  # it says 255 bytes, and has a last block of none
    for made in (empty + content, content + empty):
        assert isinstance(check(refilled(plain, made, compression=4)), KafkaRecords)


@pytest.mark.parametrize("compression", COMPRESS)
def test_content_that_was_compressed_in_parts_is_judged_alike(compression: int) -> None:
    plain = record_batch(0, rows(b"a" * 20, b"b"))
    content = plain[HEADER:]
    for compress in COMPRESS[compression]:
        for index in range(len(content)):
            parts = compress(content[:index]) + compress(content[index:])
            check(refilled(plain, parts, compression=compression))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_record_batches_with_other_headers_are_judged_alike(data: st.DataObject) -> None:
    made = bytearray(data.draw(record_batches(10)))
    at, format, values = data.draw(
        st.sampled_from(
            [
                (0, ">q", st.integers(0, 20) | st.just((1 << 63) - 1)),  # base offset
                (21, ">h", st.integers(-8, 15)),  # attributes
                (23, ">i", st.integers(-2, 2000) | st.just((1 << 31) - 1)),  # last offset
                (27, ">q", st.sampled_from([-(1 << 63), -1, 0, (1 << 63) - 1])),  # first timestamp
                (35, ">q", st.sampled_from([-(1 << 63), -1, 0, (1 << 63) - 1])),  # last timestamp
                (57, ">i", st.integers(-1, 12)),  # records
            ]
        )
    )
    struct.pack_into(format, made, at, data.draw(values))
    check(sealed(made), 0, 5000)


@pytest.mark.parametrize("compression", [1, 3, 4])
@pytest.mark.parametrize("size", [1 << 17, 5 << 20])
def test_blocks_of_any_size_are_decoded_alike(compression: int, size: int) -> None:
    values = [bytes([number]) * size for number in range(3)]
    for compress in COMPRESS[compression]:
        plain = record_batch(0, rows(*values))
        data = refilled(plain, compress(plain[HEADER:]), compression=compression)
        assert isinstance(check(data), NATIVE)


def test_headers_that_some_records_have_are_columns_in_arrow() -> None:
    records: list[Row] = [
        (None, b"a", [], 0),
        (None, b"b", [("x", None), ("y", b"1")], 1),
        (None, b"c", [("", b"")], 2),
    ]
    made = arrow.record_batch(check(record_batch(0, records)))
    assert made.column("headers").to_pylist() == [
        None,
        [{"key": "x", "value": None}, {"key": "y", "value": b"1"}],
        [{"key": "", "value": b""}],
    ]


def test_a_slice_that_is_much_larger_once_decompressed_is_left_to_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = bomb(2, 1)
    assert isinstance(decoded(data), NATIVE)
    assert isinstance(check(data, 1), NATIVE)
    monkeypatch.setattr(kafka_native, "MOST_CONTENT", (2 << 20) - 1)
    assert isinstance(check(data), KafkaRecords)
    for compression in COMPRESS:
        value = record_batch(0, rows(bytes(3 << 20)), compression=compression)
        assert isinstance(decoded(value), KafkaRecords)


def test_what_claims_to_be_huge_takes_no_memory(request: pytest.FixtureRequest) -> None:
    subprocess.run([sys.executable, "-c", HOSTILE, str(request.path.parent)], check=True)
