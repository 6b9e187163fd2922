from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.formats import decode
from comporta.payloads import SourceRecord, pack
from comporta.records import LONGEST_VALUE, Batch, Failure, Record


def lines(text: bytes, base: int = 0, first: int | None = None, next: int | None = None) -> Batch:
    first = base if first is None else first
    next = base + len(text) if next is None else next
    return Batch("lines", "file-1", "logs/access.log", base, first, next, arrival_ms=1)


def source_record(offset: int, **changes: Any) -> SourceRecord:
    record: dict[str, Any] = {
        "offset": offset,
        "value": b"v%d" % offset,
        "key": None,
        "timestamp": None,
        "headers": [],
        "partition": "topic/3",
        "shown": "topic/3",
        "source_offset": offset,
    }
    return {**record, **changes}  # type: ignore[typeddict-item]


def records(*given: SourceRecord, first: int = 0, next: int = 1000, **changes: Any) -> Any:
    batch = Batch("records", "topic/3", "topic/3", 0, first, next, arrival_ms=1, **changes)
    return decode(batch, pack(list(given)))


@pytest.mark.parametrize(
    ("text", "values", "offsets", "ends"),
    [
        (b"", [], [], []),
        (b"a\n", [b"a"], [0], [2]),
        (b"a\nbc", [b"a", b"bc"], [0, 2], [2, 4]),
        (b"\n\nb\n", [b"", b"", b"b"], [0, 1, 2], [1, 2, 4]),
        (b"a\r\nb\r\r\n\r\n", [b"a", b"b\r", b""], [0, 3, 7], [3, 7, 9]),
        (b"a\rb\nc\r", [b"a\rb", b"c\r"], [0, 4], [4, 6]),
        (b"a\r\nb\r", [b"a", b"b\r"], [0, 3], [3, 5]),
    ],
)
def test_lines_come_without_their_ends(
    text: bytes, values: list[bytes], offsets: list[int], ends: list[int]
) -> None:
    decoded = decode(lines(text, base=100), memoryview(text))
    assert list(decoded.values) == values
    assert list(decoded.offsets) == [100 + offset for offset in offsets]
    assert list(decoded.ends) == [100 + end for end in ends]
    assert decoded.count == len(values)


def test_a_carriage_return_alone_at_the_end_of_a_file_is_content_or_end_alike() -> None:
    """An unfinished line keeps its carriage return whether or not other lines have theirs stripped."""
    assert decode(lines(b"x\r"), b"x\r").values == decode(lines(b"a\r\nx\r"), b"a\r\nx\r").values[1:]


@given(
    st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\r"])),
    st.booleans(),
    st.integers(-1, 30),
    st.integers(-1, 30),
)
def test_a_line_is_in_the_range_that_its_beginning_is_in(
    parts: list[bytes], ended: bool, a: int, b: int
) -> None:
    text = b"\n".join(parts) + (b"\n" if ended and parts else b"")
    whole = decode(lines(text, 7), text)
    first, next = 7 + min(a, b), 7 + max(a, b)
    part = decode(lines(text, 7, first, next), text)
    chosen = [
        line for line in zip(whole.values, whole.offsets, whole.ends, strict=True) if first <= line[1] < next
    ]
    assert list(zip(part.values, part.offsets, part.ends, strict=True)) == chosen


@given(st.lists(st.sampled_from([b"", b"a", b"bc\r"]), min_size=1), st.data())
def test_lines_are_halved_at_their_middle(parts: list[bytes], data: st.DataObject) -> None:
    text = b"\n".join(parts) + data.draw(st.sampled_from([b"", b"\n"]))
    decoded = decode(lines(text, 7), text)
    middle = decoded.middle
    if decoded.count < 2:
        assert middle is None
        return
    assert middle is not None
    halves = [decode(lines(text, 7, 7, middle), text), decode(lines(text, 7, middle, 7 + len(text)), text)]
    assert [*halves[0].values, *halves[1].values] == list(decoded.values)
    assert abs(halves[0].count - halves[1].count) <= 1


def test_records_are_narrowed_and_halved_by_offset() -> None:
    given = [source_record(offset) for offset in (3, 5, 9, 20)]
    assert records(*given).middle == 9
    assert records(*given, first=5, next=20).values == [b"v5", b"v9"]
    assert records(*given, first=9, next=20).middle is None
    assert records(*given, first=10, next=20).count == 0


def test_a_record_of_a_line_has_the_path_and_nothing_of_kafka() -> None:
    decoded = decode(lines(b"a\nb\n", 10), b"a\nb\n")
    assert decoded.records() == [
        Record(None, [], None, None, "logs/access.log", 10),
        Record(None, [], None, None, "logs/access.log", 12),
    ]


def test_a_record_of_kafka_has_all_that_it_came_with() -> None:
    headers: list[tuple[str, bytes | None]] = [("a", b"1"), ("a", None)]
    decoded = records(source_record(7, key=b"k", timestamp=1_431_864_000_500, headers=headers))
    assert decoded.records() == [
        Record(b"k", headers, datetime(2015, 5, 17, 12, 0, 0, 500_000, timezone.utc), "topic", 3, 7)
    ]


def test_a_timestamp_that_is_no_time_counts_as_none() -> None:
    assert records(source_record(7, timestamp=2**62)).records()[0].timestamp is None


def test_a_tombstone_has_no_value() -> None:
    assert records(source_record(7, value=None)).values == [None]


def test_a_letter_of_a_line_says_where_it_was() -> None:
    decoded = decode(lines(b"a\nbcd\n", 10), b"a\nbcd\n")
    [letter] = decoded.letters({1: Failure("exception", "ValueError: no", "Traceback")}, "c0de")
    assert letter["at"] > 1_600_000_000_000
    assert {**letter, "at": 0} == {
        "partition": "file-1",
        "shown": "logs/access.log",
        "offset": 12,
        "next": 16,
        "attempt": 0,
        "reason": "exception",
        "error": "ValueError: no",
        "traceback": "Traceback",
        "value": b"bcd",
        "length": 3,
        "key": None,
        "headers": [],
        "timestamp": None,
        "at": 0,
        "code": "c0de",
    }


def test_a_letter_of_a_replayed_record_is_of_its_source_and_the_next_attempt() -> None:
    replayed = source_record(
        2, partition="file-9", shown="old.log", source_offset=700, key=b"k", headers=[("a", b"b")]
    )
    decoded = records(replayed, replay=("file-9", 700, 4))
    [letter] = decoded.letters({0: Failure("value", "no")})
    assert (letter["partition"], letter["shown"], letter["offset"], letter["next"]) == (
        "file-9",
        "old.log",
        700,
        701,
    )
    assert letter["attempt"] == 5
    assert (letter["key"], letter["headers"]) == (b"k", [("a", b"b")])


def test_a_letter_keeps_the_beginning_of_a_long_value() -> None:
    value = bytes(LONGEST_VALUE + 5)
    [letter] = records(source_record(1, value=value)).letters({0: Failure("value", "no")})
    assert letter["value"] == value[:LONGEST_VALUE]
    assert letter["length"] == LONGEST_VALUE + 5


def test_an_oversized_record_is_a_letter_with_its_range() -> None:
    batch = Batch("oversized", "file-1", "a.log", 50, 50, 50 + 10**9, arrival_ms=1)
    decoded = decode(batch, b"beginning")
    assert (decoded.count, decoded.middle) == (1, None)
    assert decoded.verdict is not None
    assert decoded.verdict.reason == "oversized"
    assert "1,000,000,000 bytes" in decoded.verdict.error
    [letter] = decoded.letters({0: decoded.verdict})
    assert (letter["offset"], letter["next"], letter["length"]) == (50, 50 + 10**9, 10**9)
    assert letter["value"] == b"beginning"


def test_a_verdict_is_handed_on() -> None:
    assert records(source_record(1)).verdict is None
    assert records(source_record(1), reason="timeout", verdict="too slow").verdict == Failure(
        "timeout", "too slow"
    )


def test_what_is_not_of_its_format_is_refused() -> None:
    with pytest.raises(ValueError, match="msgpack"):
        decode(Batch("records", "p", "p", 0, 0, 1, arrival_ms=1), b"\xc1")
