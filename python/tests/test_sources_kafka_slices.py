"""What is cut of what was fetched, and shown by headers, natively is what Python does."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka.structs import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from record_batches import record_batch, refilled, rows, sealed

from comporta import kafka_native
from comporta.errors import SourceError
from comporta.kafka_batches import outline
from comporta.kafka_native import outline_natively
from comporta.sources.contract import Limits
from comporta.sources.kafka.slices import Cutter, is_sliceable

TRANSACTIONAL, CONTROL = 0x10, 0x20
LARGEST = (1 << 63) - 1
PRODUCERS = st.integers(1, 3)
offsets = st.integers(-2, 60) | st.sampled_from([LARGEST - 2, LARGEST])

Make = Callable[[int], bytes]
"""A record batch that begins at an offset, or something of the kind."""


def ordinary(count: int, gap: int, producer: int | None = None) -> Make:
    def make(base: int) -> bytes:
        attributes, number = (0, -1) if producer is None else (TRANSACTIONAL, producer)
        last = base + count - 1 + gap
        return record_batch(base, rows(*[b"x"] * count), last=last, attributes=attributes, producer=number)

    return make


def marker(producer: int, kind: bytes) -> Make:
    return lambda base: record_batch(
        base, [(kind, b"", [], 0)], attributes=TRANSACTIONAL | CONTROL, producer=producer
    )


def changed(make: Make, at: int, format: str, value: int) -> Make:
    """With another field in its header, and the checksum of that."""

    def change(base: int) -> bytes:
        data = bytearray(make(base))
        struct.pack_into(format, data, at, value)
        return sealed(data)

    return change


def damaged(make: Make, at: int) -> Make:
    def damage(base: int) -> bytes:
        data = bytearray(make(base))
        data[at % len(data)] ^= 1
        return bytes(data)

    return damage


plain = st.builds(ordinary, st.integers(1, 4), st.sampled_from([0, 0, 0, 5]))
transactional = st.builds(ordinary, st.integers(1, 3), st.just(0), PRODUCERS)
markers = st.builds(marker, PRODUCERS, st.sampled_from([struct.pack(">HH", 0, kind) for kind in (0, 1)]))
odd = st.one_of(
    st.builds(lambda gap: lambda base: refilled(ordinary(1, gap)(base), b"", records=0), st.integers(0, 5)),
    st.builds(marker, PRODUCERS, st.binary(max_size=5)),
    st.builds(changed, plain, st.just(57), st.just(">i"), st.sampled_from([-1, 0, 9, (1 << 31) - 1])),
    st.builds(
        changed, plain, st.just(23), st.just(">i"), st.sampled_from([-(1 << 31), -2, -1, 0, (1 << 31) - 1])
    ),
    st.builds(changed, plain, st.just(0), st.just(">q"), st.sampled_from([-1, 0, 1, LARGEST])),
    st.builds(changed, plain, st.just(8), st.just(">i"), st.integers(-15, 120) | st.just((1 << 31) - 1)),
    st.builds(changed, plain, st.just(16), st.just(">b"), st.integers(0, 3)),
    st.builds(damaged, plain | transactional | markers, st.integers(0, 200)),
)
usual = plain | plain | plain | transactional | markers


@st.composite
def fetched(draw: st.DrawFn) -> bytes:
    """What a broker may answer, and at times what none should."""
    makes: list[Make] = draw(st.lists(usual | odd if draw(st.booleans()) else usual, max_size=12))
    data = b""
    base = draw(st.sampled_from([0, 0, 0, LARGEST - 3]))
    for make in makes:
        made = make(min(base, LARGEST))
        data += made
        (last,) = struct.unpack_from(">i", made, 23)
        base += max(0, min(last, 50)) + draw(st.sampled_from([1, 1, 1, 3]))
    return data[: len(data) - draw(st.sampled_from([0, 0, 1, 40, 100]))]


def in_python(ask: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_native, "native", None)
        return ask()


def cut(
    data: bytes, aborted: Sequence[tuple[int, int]], position: int, until: int | None, limits: Limits
) -> list[Any]:
    """The slices, where each leaves the cutter, and what ends it."""
    cutter = Cutter(TopicPartition("topic", 0), data, aborted, position, until, limits)
    found: list[Any] = []
    try:
        for each in cutter.slices():
            place = (each.base, each.first, each.next, each.count)
            found.append((place, bytes(each.payload), cutter.position))
    except SourceError as error:
        found.append(str(error))
    return [*found, cutter.position]


@settings(max_examples=200, deadline=None)
@given(
    fetched(),
    st.lists(st.tuples(PRODUCERS, st.integers(0, 20)), max_size=2) | st.just([]),
    st.integers(0, 8) | offsets,
    st.none() | offsets,
    st.integers(1, 800) | st.just(1 << 20),
    st.integers(1, 20) | st.just(50_000),
)
def test_slices_are_cut_alike(
    data: bytes,
    aborted: list[tuple[int, int]],
    position: int,
    until: int | None,
    size: int,
    records: int,
) -> None:
    limits = Limits(size, 1 << 20, records)
    found = cut(data, aborted, position, until, limits)
    assert found == in_python(lambda: cut(data, aborted, position, until, limits))


@pytest.mark.parametrize("key", [b"", b"\0", b"\0\0\0"])
def test_a_control_batch_that_does_not_say_what_it_ends_is_damaged(key: bytes) -> None:
    data = ordinary(2, 0)(0) + marker(1, key)(2)
    *slices, why, position = cut(data, (), 0, None, Limits(1, 1 << 20))
    assert (len(slices), position) == (0, 0)
    assert "the record batch at offset 2 is damaged: it ends a transaction, and cannot be read" in why


@settings(max_examples=100, deadline=None)
@given(fetched(), st.integers(-1, 300) | st.just(1 << 31))
def test_what_can_be_sliced_is_seen_alike(data: bytes, most: int) -> None:
    limits = Limits(1, most)
    assert is_sliceable(data, limits) == in_python(lambda: is_sliceable(data, limits))


@settings(max_examples=100, deadline=None)
@given(fetched(), offsets, offsets | st.just(1 << 63))
def test_headers_show_the_same(data: bytes, first: int, next: int) -> None:
    shown = outline(data, first, next)
    assert (outline_natively(data, first, next) or shown) == shown


@pytest.mark.skipif(not kafka_native.is_available(), reason="there is no native module")
def test_record_batches_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    check = Cutter._check

    def watched(self: Cutter, batch: Any) -> None:
        looked_at.append(batch.base_offset)
        check(self, batch)

    monkeypatch.setattr(Cutter, "_check", watched)
    data = b"".join(record_batch(base, rows(b"x")) for base in range(100))
    cut(data, [], 0, None, Limits(1 << 20, 1 << 20, batch_records=40))
    assert looked_at == [0, 40, 80]
