from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from comporta.sources import Batch, Limits
from comporta.sources.kafka.joining import take_joined

LIMITS = Limits(batch_bytes=100, max_record=1000, batch_records=10)


def part(first: int, count: int, size: int, base: int | None = None, *, lost: bool = False) -> Batch:
    return Batch(
        partition="topic/0",
        shown="topic/0",
        format="kafka",
        base=first if base is None else base,
        first=first,
        next=first + max(1, count),
        count=count,
        payload=memoryview(bytes([first % 256]) * size),
        lost=lost,
    )


def take_all(parts: Sequence[Batch], limits: Limits = LIMITS) -> list[tuple[Batch, int]]:
    queue, taken = deque(parts), []
    while queue:
        taken.append(take_joined(queue, limits))
    return taken


def test_what_fits_becomes_one_batch() -> None:
    ((batch, parts),) = take_all([part(0, 4, 30), part(4, 3, 30), part(7, 3, 40)])
    assert parts == 3
    assert (batch.base, batch.first, batch.next, batch.count) == (0, 0, 10, 10)
    assert bytes(batch.payload) == bytes(30) + b"\4" * 30 + b"\7" * 40


def test_neither_records_nor_bytes_are_more_than_asked_for() -> None:
    assert [n for _, n in take_all([part(0, 6, 1), part(6, 5, 1), part(11, 5, 1)])] == [1, 2]
    assert [n for _, n in take_all([part(0, 1, 60), part(1, 1, 41), part(2, 1, 59)])] == [1, 2]


def test_what_is_larger_than_asked_for_stays_as_it_is() -> None:
    large = part(0, 50, 500)
    assert take_all([large, part(50, 1, 1)])[0] == (large, 1)


def test_what_only_moves_the_position_on_is_joined_and_the_base_is_that_of_the_first_bytes() -> None:
    ((batch, _),) = take_all([part(0, 0, 0), part(1, 3, 20, base=0), part(4, 0, 0)])
    assert (batch.base, batch.first, batch.next, batch.count) == (0, 0, 5, 3)


def test_what_was_lost_is_told_alone() -> None:
    parts = [part(0, 1, 1), part(1, 0, 0, lost=True), part(2, 1, 1)]
    assert take_all(parts) == [(each, 1) for each in parts]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 120), st.booleans()), min_size=1),
    st.integers(1, 200),
    st.integers(1, 40),
)
def test_nothing_is_left_out_or_moved(
    sizes: list[tuple[int, int, bool]], batch_bytes: int, batch_records: int
) -> None:
    parts: list[Batch] = []
    for count, size, lost in sizes:
        first = parts[-1].next if parts else 0
        parts.append(part(first, 0 if lost else count, 0 if lost else size, lost=lost))
    taken = take_all(parts, Limits(batch_bytes, 1000, batch_records))
    assert sum(n for _, n in taken) == len(parts)
    assert b"".join(batch.payload for batch, _ in taken) == b"".join(each.payload for each in parts)
    assert sum(batch.count for batch, _ in taken) == sum(each.count for each in parts)
    position = 0
    for batch, n in taken:
        assert batch.first == position
        assert n == 1 or (len(batch.payload) <= batch_bytes and batch.count <= batch_records)
        position = batch.next
    assert position == parts[-1].next
