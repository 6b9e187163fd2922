from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from decoders import decoder as decoder
from record_batches import record_batch, refilled, rows, sealed

from comporta.errors import SourceError
from comporta.event_time import LATEST
from comporta.formats import decode
from comporta.records import Batch, Decoded, Failure
from comporta.sources.contract import Limits
from comporta.sources.kafka.slices import Cutter, Fetched, Slice, partition_records

LIMITS = Limits(batch_bytes=1 << 20, max_record=1 << 20)
PLACE = TopicPartition("topic", 0)


def decoded(payload: bytes, first: int, next: int, reason: str | None = None) -> Decoded:
    return decode(
        Batch("kafka", "topic/0", "topic/0", first, first, next, 0, reason=reason, verdict=reason), payload
    )


def cut(
    data: bytes,
    position: int = 0,
    aborted: Sequence[tuple[int, int]] = (),
    until: int | None = None,
    limits: Limits = LIMITS,
) -> list[Slice]:
    return list(Cutter(PLACE, data, aborted, position, until, limits).slices())


def spans(slices: Sequence[Slice]) -> list[tuple[int, int, int]]:
    return [(each.first, each.next, each.count) for each in slices]


@pytest.mark.parametrize("compression", range(5))
def test_a_slice_of_record_batches_is_decoded_as_far_as_the_range_goes(compression: int) -> None:
    payload = record_batch(10, rows(b"a", None, b"c"), compression=compression)
    payload += record_batch(13, [(b"key", b"d", [("name", b"text"), ("none", None)], 1)])
    found = decoded(payload, 11, 14)
    assert list(found.values) == [None, b"c", b"d"]
    assert list(found.offsets) == [11, 12, 13]
    assert list(found.ends) == [12, 13, 14]
    assert list(found.keys) == [None, None, b"key"]
    assert list(found.headers) == [[], [], [("name", b"text"), ("none", None)]]
    assert list(found.timestamps) == [1_700_000_000_000, 1_700_000_000_000, 1]
    assert list(found.lengths) == [0, 1, 1]
    assert found.middle == 12
    assert decoded(payload, 11, 12).middle is None
    assert decoded(payload, 14, 14).count == 0
    assert decoded(b"", 11, 14).count == 0


def test_offsets_may_have_gaps() -> None:
    payload = record_batch(10, rows(b"a", b"b", b"c"), offsets=[12, 17, 19], last=30)
    found = decoded(payload, 5, 31)
    assert list(found.offsets) == [12, 17, 19]
    assert found.middle == 17
    assert list(decoded(payload, 5, 17).values) == [b"a"]
    assert list(decoded(payload, 15, 31).values) == [b"b", b"c"]
    assert spans(cut(payload, 5)) == [(5, 31, 3)]


def test_timestamps_are_the_brokers_where_it_sets_them() -> None:
    data = bytearray(record_batch(0, rows(b"a", b"b"), attributes=0x08))
    struct.pack_into(">q", data, 35, 1_800_000_000_000)
    assert list(decoded(sealed(data), 0, 2).timestamps) == [1_800_000_000_000] * 2
    stamps = [(None, b"", [], stamp) for stamp in (-1, LATEST + 1)]
    assert list(decoded(record_batch(0, stamps), 0, 2).timestamps) == [None, None]


def test_a_header_whose_name_is_no_text_costs_nothing_else() -> None:
    for compression in range(5):
        plain = bytearray(record_batch(0, [(b"k", b"v", [("name", b"1")], 5), *rows(b"w")]))
        plain[plain.index(b"name")] = 0xFF
        records = bytes(plain[61:])
        compressed = {0: bytes, **codecs()}[compression](records)
        data = refilled(bytes(plain), compressed, compression=compression)
        found = decoded(data + record_batch(2, rows(b"x")), 0, 3)
        assert list(found.values) == [b"v", b"w", b"x"]
        assert list(found.headers) == [[("\\xffame", b"1")], [], []]
        assert list(found.keys) == [b"k", None, None]
        assert list(found.offsets) == [0, 1, 2]
        assert list(found.timestamps)[:2] == [5, 1_700_000_000_000]


def codecs() -> dict[int, type]:
    from aiokafka import codec

    return {1: codec.gzip_encode, 2: codec.snappy_encode, 3: codec.lz4_encode, 4: codec.zstd_encode}


def test_what_is_no_record_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes after offset 0 are no record batch"):
        decoded(record_batch(0, rows(b"a")) + b"xyz", 0, 1)


def test_a_verdict_is_of_the_records_of_the_range() -> None:
    found = decoded(record_batch(0, rows(b"a", b"b")), 1, 2, reason="crash")
    assert found.verdict == Failure("crash", "crash")
    assert list(found.values) == [b"b"]


def test_slices_are_cut_by_their_bytes_and_their_records() -> None:
    batches = [record_batch(number, rows(b"x" * 100)) for number in range(10)]
    size = len(batches[0])
    data = b"".join(batches)
    assert spans(cut(data)) == [(0, 10, 10)]
    slices = cut(data, limits=Limits(3 * size, 1 << 20))
    assert spans(slices) == [(0, 3, 3), (3, 6, 3), (6, 9, 3), (9, 10, 1)]
    assert b"".join(each.payload for each in slices) == data
    assert [value for each in slices for value in decoded(bytes(each.payload), 0, 10).values] == [
        b"x" * 100
    ] * 10
    limits = Limits(1 << 20, 1 << 20, batch_records=4)
    assert spans(cut(data, limits=limits)) == [(0, 4, 4), (4, 8, 4), (8, 10, 2)]
    assert spans(cut(data, limits=Limits(1, 1 << 20))) == [(number, number + 1, 1) for number in range(10)]
    many = [record_batch(number * 40_000, rows(*[b""] * 40_000), compression=3) for number in range(2)]
    assert spans(cut(b"".join(many))) == [(0, 40_000, 40_000), (40_000, 80_000, 40_000)]


def test_the_end_that_was_fetched_of_a_record_batch_is_left() -> None:
    data = record_batch(0, rows(b"a")) + record_batch(1, rows(b"b"))[:-1]
    assert spans(cut(data)) == [(0, 1, 1)]


def test_a_slice_begins_where_it_was_asked_to_begin() -> None:
    data = record_batch(0, rows(b"a")) + record_batch(1, rows(b"b", b"c"))
    assert spans(cut(data, 2)) == [(2, 3, 2)]
    assert decoded(bytes(cut(data, 2)[0].payload), 2, 3).values == [b"c"]


def test_slices_end_where_reading_does() -> None:
    data = record_batch(0, rows(b"a")) + record_batch(1, rows(b"b")) + record_batch(9, rows(b"c"))
    assert spans(cut(data, until=1)) == [(0, 1, 1), (1, 10, 2)]
    assert spans(cut(data, until=5)) == [(0, 2, 2), (2, 5, 0), (5, 10, 1)]


def test_control_batches_and_aborted_transactions_are_left_out() -> None:
    transactional, control = 0x10, 0x20
    abort, commit = struct.pack(">HH", 0, 0), struct.pack(">HH", 0, 1)

    def marker(offset: int, producer: int, kind: bytes) -> bytes:
        return record_batch(
            offset, [(kind, b"", [], 0)], attributes=control | transactional, producer=producer
        )

    def sent(offset: int, producer: int, value: bytes) -> bytes:
        return record_batch(offset, rows(value), attributes=transactional, producer=producer)

    data = b"".join(
        [
            sent(0, 1, b"aborted"),
            sent(1, 2, b"kept"),
            marker(2, 1, abort),
            sent(3, 1, b"kept, too"),
            marker(4, 1, commit),
            marker(5, 2, commit),
            sent(6, 1, b"aborted, too"),
            marker(7, 1, abort),
        ]
    )
    slices = cut(data, aborted=[(1, 6), (1, 0)])
    assert spans(slices) == [(0, 2, 1), (2, 4, 1), (4, 8, 0)]
    assert [decoded(bytes(each.payload), 0, 8).values for each in slices] == [[b"kept"], [b"kept, too"], []]
    assert spans(cut(data, 6, aborted=[(1, 6)])) == [(6, 8, 0)]


def test_a_record_batch_that_lost_all_its_records_is_passed_over() -> None:
    data = record_batch(2, rows(b"a")) + refilled(record_batch(3, rows(b"x"), last=8), b"", records=0)
    assert list(decoded(data, 2, 9).values) == [b"a"]
    assert spans(cut(data, 2)) == [(2, 3, 1), (3, 9, 0)]


def test_messages_older_than_record_batches_are_left_to_aiokafka() -> None:
    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 16)
    for number in range(2):
        builder.append(number, 5, b"key", b"value %d" % number)
    make = partition_records(PartitionRecords, MemoryRecords, LIMITS, lambda _: None, lambda _: False)
    found = list(make(PLACE, Fetched(bytes(builder.build())), None, 0, None, None, True, READ_COMMITTED))
    assert [(each.offset, each.value) for each in found] == [(0, b"value 0"), (1, b"value 1")]
    short = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=1 << 16)
    short.append(0, 5, None, b"a")  # shorter than a record batch's header
    assert Fetched(bytes(short.build())).has_next()
    assert not Fetched(bytes(short.build())[:-1]).has_next()
    data = record_batch(0, rows(b"a"))
    assert spans(list(make(PLACE, Fetched(data), None, 0, None, None, True, READ_COMMITTED))) == [(0, 1, 1)]


def test_a_wrong_checksum_is_said() -> None:
    data = bytearray(record_batch(0, rows(b"a")) + record_batch(1, rows(b"b")))
    data[-1] ^= 1
    with pytest.raises(SourceError, match="topic/0: the record batch at offset 1 is damaged: its checksum"):
        cut(bytes(data))
