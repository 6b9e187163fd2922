"""Record batches whose checksum is right and that cannot be decoded: each costs its own records, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import codec
from decoders import decoder as decoder
from record_batches import HEADER, record_batch, refilled, rows

from comporta import kafka_decoding, kafka_records
from comporta.formats import decode
from comporta.kafka_batches import record_batches
from comporta.kafka_records import count_records
from comporta.letters import is_whole
from comporta.payloads import Letter, pack
from comporta.records import UNDECODABLE, Batch, Decoded

CODECS = {0: bytes, 1: codec.gzip_encode, 2: codec.snappy_encode, 3: codec.lz4_encode, 4: codec.zstd_encode}
PLAIN = record_batch(7, rows(b"a" * 100, b"b" * 100, b"c" * 100))
CONTENT = PLAIN[HEADER:]


def broken(compression: int, damage: Callable[[bytes], bytes]) -> bytes:
    """Three records at the offsets 7 to 9, whose compressed content was damaged."""
    return refilled(PLAIN, damage(CODECS[compression](CONTENT)), compression=compression)


def decoded(payload: bytes, first: int = 0, next: int = 100, **more: Any) -> Decoded:
    tell = more.pop("tell", None)
    found = decode(Batch("kafka", "topic/0", "topic/0", first, first, next, 0, **more), payload, tell)
    assert found.undecodable == len(found.letters({}))
    return found


def offsets(letters: list[Letter]) -> list[int]:
    return [letter["offset"] for letter in letters]


@pytest.mark.parametrize("compression", range(5))
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"\xff" * len(content),
        lambda content: b"\0" * len(content),
        lambda content: content[: len(content) // 2],
        lambda content: content[: len(content) // 3] + b"\x55\xaa" * 9 + content[len(content) // 3 :],
        lambda content: b"",
    ],
    ids=["ones", "zeros", "cut off", "spliced", "empty"],
)
def test_content_that_is_damaged_costs_each_of_its_records_and_no_other(
    compression: int, damage: Callable[[bytes], bytes]
) -> None:
    data = broken(compression, damage)
    found = decoded(record_batch(5, rows(b"x", b"y")) + data + record_batch(10, rows(b"z")))
    assert list(found.values) == [b"x", b"y", b"z"]
    assert (found.count, found.undecodable) == (3, 3)
    letters = found.letters({})
    assert [(letter["offset"], letter["next"]) for letter in letters] == [(7, 8), (8, 9), (9, 10)]
    assert [letter["value"] for letter in letters] == [data, None, None]
    for letter in letters:
        assert letter["reason"] == UNDECODABLE
        assert (
            "the record batch at offset 7 cannot be decoded, though its checksum is right" in letter["error"]
        )
        assert (letter["key"], letter["headers"], letter["timestamp"]) == (None, [], None)
        assert not is_whole(letter)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(CONTENT[:1], id="a length that is cut off"),
        pytest.param(b"\xff" * 12, id="a length without end"),
        pytest.param(CONTENT[:-1], id="a last field that is missing"),
        pytest.param(CONTENT.replace(b"\xc8\x01a", b"\xc8\x7fa"), id="a value longer than its record"),
        pytest.param(CONTENT.replace(b"\xc8\x01a", b"\x02a"), id="a value shorter than its record"),
        pytest.param(CONTENT[:-1] + b"\x02", id="a header that is not there"),
        pytest.param(CONTENT + b"\0\0", id="bytes after the records"),
    ],
)
@pytest.mark.parametrize("compression", [0, 4])
def test_nonsense_inside_costs_each_of_its_records(content: bytes, compression: int) -> None:
    assert content != CONTENT
    data = refilled(PLAIN, CODECS[compression](content), compression=compression)
    assert (decoded(data).count, offsets(decoded(data).letters({}))) == (0, [7, 8, 9])


@pytest.mark.parametrize("records", [1, 2])
def test_fewer_records_than_there_are_cost_as_many_as_the_header_counts(records: int) -> None:
    found = decoded(refilled(PLAIN, CONTENT, records=records))
    assert (found.count, offsets(found.letters({}))) == (0, list(range(7, 7 + records)))


@pytest.mark.parametrize("records", [4, 1 << 30])
def test_more_records_than_there_are_offsets_cost_one_for_each_offset(records: int) -> None:
    found = decoded(refilled(PLAIN, CONTENT, records=records))
    assert (found.count, offsets(found.letters({}))) == (0, [7, 8, 9])


@pytest.mark.parametrize("records", [0, -1])
def test_a_record_batch_that_counts_no_records_has_none(records: int) -> None:
    found = decoded(refilled(PLAIN, CONTENT, records=records) + record_batch(10, rows(b"z")))
    assert (list(found.values), found.letters({})) == ([b"z"], [])


@pytest.mark.parametrize("wrong", [6, 12])
def test_records_outside_of_their_record_batch_make_it_undecodable(wrong: int) -> None:
    data = record_batch(7, rows(b"a", b"b", b"c"), offsets=[7, wrong, 9], last=9)
    data += record_batch(10, rows(b"z", b"z", b"z"))
    for first, next in [(0, 100), (7, 13), (8, 13), (0, 8)]:
        found = decoded(data, first, next)
        assert offsets(found.letters({})) == [each for each in (7, 8, 9) if first <= each < next]
        assert list(found.offsets) == [each for each in (10, 11, 12) if first <= each < next]


def test_a_letter_has_the_first_64_kib_of_a_long_record_batch() -> None:
    data = refilled(PLAIN, b"\xff" * 200_000)
    one, *others = decoded(data).letters({})
    assert one["value"] == data[: 64 << 10]
    assert [letter["value"] for letter in others] == [None, None]


@pytest.mark.parametrize("middle", range(5, 13))
def test_a_narrowed_range_has_its_own_letters(middle: int) -> None:
    data = record_batch(5, rows(b"x", b"y")) + broken(3, lambda _: b"") + record_batch(10, rows(b"z"))
    halves = [decoded(data, 0, middle), decoded(data, middle, 20)]
    assert [value for half in halves for value in half.values] == [b"x", b"y", b"z"]
    letters = [half.letters({}) for half in halves]
    assert [*offsets(letters[0]), *offsets(letters[1])] == [7, 8, 9]
    for some in letters:
        assert [letter["value"] is not None for letter in some] == [True, False, False][: len(some)]


def test_a_range_with_undecodable_records_is_halved_among_all_of_them() -> None:
    data = record_batch(5, rows(b"x", b"y")) + broken(3, lambda _: b"") + record_batch(10, rows(b"z"))
    assert decoded(data).middle == 8
    assert decoded(data, 0, 8).middle == 6
    assert decoded(data, 8, 20).middle == 9
    assert decoded(data, 9, 10).middle is None


def test_headers_tell_how_many_records_there_are_and_where_half_of_the_record_batches_follow() -> None:
    data = record_batch(5, rows(b"x", b"y")) + broken(1, lambda _: b"") + record_batch(10, rows(b"z"))

    def told(first: int, next: int) -> tuple[int, int | None]:
        said: list[tuple[int, int | None]] = []
        decoded(data, first, next, tell=lambda *words: said.append(words))
        (words,) = said
        return words

    assert told(0, 20) == (6, 7)
    assert told(7, 20) == (4, 10)
    assert told(6, 8) == (2, 7)
    assert told(7, 10) == (3, None)
    assert told(8, 9) == (1, None)
    assert told(11, 20) == (0, None)


def test_headers_are_told_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch, decoder: str) -> None:
    steps: list[object] = []
    module, name = {
        "python": (kafka_records, "decode_records"),
        "native": (kafka_decoding, "decode_natively"),
    }[decoder]
    decode = getattr(module, name)

    def watched(*arguments: Any) -> Any:
        steps.append("decode")
        return decode(*arguments)

    monkeypatch.setattr(module, name, watched)
    decoded(PLAIN, tell=lambda count, middle: steps.append((count, middle)))
    assert steps == [(3, None), "decode"]


def test_under_the_verdict_that_decoding_kills_nothing_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def deadly(*arguments: Any) -> Any:
        raise AssertionError("decoding kills")

    monkeypatch.setattr(kafka_decoding, "decode_natively", deadly)
    monkeypatch.setattr(kafka_records, "decode_records", deadly)
    monkeypatch.setattr(kafka_records, "DefaultRecordBatch", deadly)
    found = decoded(PLAIN, 8, 20, reason=UNDECODABLE, verdict="decoding it kills workers")
    letters = found.letters({})
    assert (found.count, found.middle, offsets(letters)) == (0, 9, [8, 9])
    assert {letter["error"] for letter in letters} == {"decoding it kills workers"}
    assert letters[0]["value"] == PLAIN


def test_a_panic_of_a_codec_is_like_any_other_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panicking(data: bytes) -> Any:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(kafka_records, "DefaultRecordBatch", panicking)
    (error,) = {letter["error"] for letter in decoded(broken(3, lambda _: b"")).letters({})}
    assert "index out of bounds" in error


def test_memory_that_is_short_is_not_held_against_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(data: bytes) -> Any:
        raise MemoryError

    monkeypatch.setattr(kafka_records, "DefaultRecordBatch", greedy)
    with pytest.raises(MemoryError):
        decoded(broken(3, lambda _: b""))


def test_letters_of_a_great_many_records_take_little_memory_until_they_are_made() -> None:
    many = bytearray(refilled(PLAIN, b"\xff", records=1 << 30))
    many[23:27] = ((1 << 30) - 1).to_bytes(4, "big")
    batch = Batch("kafka", "topic/0", "topic/0", 7, 7, 7 + (1 << 30), 0)
    found = decode(batch, refilled(bytes(many), b"\xff"))
    assert (found.undecodable, found.middle) == (1 << 30, 7 + (1 << 29))


@pytest.mark.parametrize("compression", range(5))
def test_a_recount_of_any_range_counts_what_is_consumed(compression: int) -> None:
    data = record_batch(5, rows(b"x", b"y"), compression=compression)
    data += broken(compression, lambda content: content[:-9]) + record_batch(10, rows(b"z"), last=19)
    batches = list(record_batches(data))
    for first in range(4, 22):
        for next in range(first, 22):
            found = decoded(data, first, next)
            recounted = sum(count_records(data, each, first, next) for each in batches)
            assert recounted == found.count + found.undecodable


def test_letters_of_undecodable_records_follow_those_of_others_and_can_be_packed() -> None:
    found = decoded(record_batch(5, rows(b"x", b"y")) + broken(2, lambda _: b"\xff"))
    letters = found.letters({1: kafka_records.Failure("exception", "ValueError")})
    assert offsets(letters) == [6, 7, 8, 9]
    assert pack(letters)
