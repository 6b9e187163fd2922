from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from steps import assigned, columns, generation, letter, metric, output

from comporta.fold import Fold
from comporta.forgotten import Forgotten
from comporta.generations import Generation
from comporta.letters import open_letters
from comporta.metrics import from_definition
from comporta.payloads import Letter, Result
from comporta.sinks import Ledger, Sink, open_sink
from comporta.sinks.contract import REPLAY, Cell

DEFINITIONS = [metric("requests", by=["status"], every=60), metric("slowest", "max", of="ms")]
METRICS = {defined["name"]: from_definition(defined) for defined in DEFINITIONS}
ONE = Ledger(consumed=1, counted=1)


class Store:
    """A sink and one generation in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sink: Sink = open_sink(url, create=True)
        self.generation: Generation = generation(*DEFINITIONS)
        self.sink.install(self.generation, instead_of=None)

    def fold(self, partition: str = "file-1") -> Fold:
        (checkpoint,) = self.sink.open(self.generation.id, [assigned(partition)])
        return Fold(self.sink, self.generation.id, checkpoint, METRICS, Forgotten())

    def flush(self, fold: Fold) -> bool:
        snapshot = fold.snapshot()
        assert snapshot
        (decided,) = self.sink.flush(self.generation.id, [snapshot])
        if decided:
            fold.decided(snapshot)
        return decided

    def rows(self, metric: str = "requests") -> dict[Cell, Any]:
        found = self.sink.rows(self.generation.id, metric, None, None)
        return {(bucket, key): state for bucket, key, state in found}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:{tmp_path}/store.db")


def result(
    cells: dict[Cell, Any] | None = None,
    metric: str = "requests",
    letters: list[Letter] | None = None,
    output: bytes | None = None,
) -> Result:
    cells = cells or {}
    metrics = {metric: columns(cells, cells.values())}
    return Result(metrics=metrics, letters=letters or [], output=output, late=0, expired=0, without_id=0)


def fold(
    fold: Fold, upto: int, cells: dict[Cell, Any] | None = None, size: int = 100, **options: Any
) -> None:
    fold.fold(upto, b"mark-%d" % upto, ONE, result(cells, **options), size)


def test_deltas_are_merged_into_their_rows(store: Store) -> None:
    partition = store.fold()
    fold(partition, 10, {(0, "[1]"): 2, (60, "[1]"): 3})
    fold(partition, 20, {(0, "[1]"): 5, (0, "[2]"): 1})
    fold(partition, 30, {(0, "[]"): 7}, metric="slowest")
    fold(partition, 40, {(0, "[]"): 6}, metric="slowest")
    assert store.flush(partition)
    assert store.rows() == {(0, "[1]"): 7, (0, "[2]"): 1, (60, "[1]"): 3}
    assert store.rows("slowest") == {(0, "[]"): 7}
    (checkpoint,) = store.sink.checkpoints(store.generation.id)
    assert (checkpoint.upto, checkpoint.mark, checkpoint.ledger) == (40, b"mark-40", Ledger(4, 4))


def test_a_row_of_another_time_is_read_back_when_it_is_touched(store: Store) -> None:
    first = store.fold()
    fold(first, 10, {(0, "[1]"): 2})
    store.flush(first)
    second = store.fold()
    assert second.position == 10
    fold(second, 20, {(0, "[1]"): 5})
    store.flush(second)
    assert store.rows() == {(0, "[1]"): 7}


class Reads:
    """A sink whose reads are noted."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.cells: list[Cell] = []

    def read(self, generation: str, partition: str, metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        self.cells += cells
        return self._sink.read(generation, partition, metric, cells)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)


class TestReads:
    @pytest.fixture
    def reads(self, store: Store) -> Reads:
        store.sink = reads = Reads(store.sink)  # type: ignore[assignment]
        return reads

    def test_what_cannot_be_there_is_not_read(self, store: Store, reads: Reads) -> None:
        partition = store.fold()
        fold(partition, 10, {(0, "[1]"): 1, (60, "[1]"): 1})
        store.flush(partition)
        fold(partition, 20, {(0, "[1]"): 1, (0, "[2]"): 1, (120, "[1]"): 1})
        store.flush(partition)
        assert reads.cells == []
        assert store.rows() == {(0, "[1]"): 2, (60, "[1]"): 1, (0, "[2]"): 1, (120, "[1]"): 1}

    def test_what_has_left_memory_is_read_and_nothing_else(self, store: Store, reads: Reads) -> None:
        partition = store.fold()
        fold(partition, 10, {(0, "[1]"): 1, (60, "[1]"): 1})
        store.flush(partition)
        partition.evict()
        fold(partition, 20, {(0, "[1]"): 1, (0, "[2]"): 1, (120, "[1]"): 1})
        fold(partition, 30, {(0, "[1]"): 1})
        store.flush(partition)
        assert reads.cells == [(0, "[1]")]
        assert store.rows() == {(0, "[1]"): 3, (60, "[1]"): 1, (0, "[2]"): 1, (120, "[1]"): 1}

    def test_of_a_partition_that_was_flushed_before_everything_is_read_once(
        self, store: Store, reads: Reads
    ) -> None:
        first = store.fold()
        fold(first, 10, {(0, "[1]"): 1})
        store.flush(first)
        second = store.fold()
        fold(second, 20, {(0, "[1]"): 1, (0, "[2]"): 1})
        fold(second, 30, {(0, "[1]"): 1, (0, "[2]"): 1})
        assert reads.cells == [(0, "[1]"), (0, "[2]")]
        store.flush(second)
        assert store.rows() == {(0, "[1]"): 3, (0, "[2]"): 2}


def test_a_row_of_several_states_is_as_it_was_when_the_snapshot_was_taken(store: Store) -> None:
    partition = store.fold()
    fold(partition, 10, {(0, "[]"): 7}, metric="slowest")
    snapshot = partition.snapshot()
    fold(partition, 20, {(0, "[]"): 9}, metric="slowest")
    assert snapshot
    assert snapshot.rows == {"slowest": {0: {"[]": 7}}}
    store.sink.flush(store.generation.id, [snapshot])
    partition.decided(snapshot)
    fold(partition, 30, {(0, "[]"): 8}, metric="slowest")
    store.flush(partition)
    assert store.rows("slowest") == {(0, "[]"): 9}


def test_a_snapshot_holds_what_changed_and_nothing_that_comes_after_it(store: Store) -> None:
    partition = store.fold()
    fold(partition, 10, {(0, "[1]"): 2, (0, "[2]"): 1})
    store.flush(partition)
    fold(partition, 20, {(0, "[1]"): 5})
    snapshot = partition.snapshot()
    fold(partition, 30, {(0, "[1]"): 100}, letters=[letter(3)])
    assert snapshot
    assert (snapshot.before.upto, snapshot.after.upto) == (10, 20)
    assert (snapshot.rows, snapshot.letters) == ({"requests": {0: {"[1]": 7}}}, [])
    assert store.sink.flush(store.generation.id, [snapshot]) == [True]
    partition.decided(snapshot)
    store.flush(partition)
    assert store.rows() == {(0, "[1]"): 107, (0, "[2]"): 1}
    assert [letter["offset"] for letter in open_letters(store.url, store.generation.id).letters()] == [3]


def test_there_is_no_snapshot_where_nothing_moved(store: Store) -> None:
    partition = store.fold()
    assert partition.snapshot() is None
    fold(partition, 10)
    assert store.flush(partition)
    assert partition.snapshot() is None


def test_eviction_keeps_what_the_sink_does_not_have_yet(store: Store) -> None:
    partition = store.fold()
    fold(partition, 10, {(0, "[1]"): 1, (0, "[2]"): 1, (0, "[3]"): 1})
    store.flush(partition)
    fold(partition, 20, {(0, "[1]"): 1})
    snapshot = partition.snapshot()
    assert snapshot
    fold(partition, 30, {(0, "[2]"): 1})
    partition.evict()
    fold(partition, 40, {(0, "[1]"): 1, (0, "[2]"): 1, (0, "[3]"): 1})
    store.sink.flush(store.generation.id, [snapshot])
    partition.decided(snapshot)
    partition.evict()
    store.flush(partition)
    assert store.rows() == {(0, "[1]"): 3, (0, "[2]"): 3, (0, "[3]"): 2}


def test_what_it_takes_in_memory_is_known_and_goes_down(store: Store) -> None:
    partition = store.fold()
    fold(partition, 10, {(0, f"[{number}]"): 1 for number in range(1000)})
    assert partition.size == partition.unflushed > 100_000
    store.flush(partition)
    assert partition.unflushed == 0
    assert partition.size > 100_000
    partition.evict()
    assert partition.size == 0


def test_rows_that_change_again_and_again_take_no_more_memory(store: Store) -> None:
    partition = store.fold()
    changes = {(bucket, f"[{number}]"): 1 for number in range(100) for bucket in (0, 60)}
    sizes = []
    for upto in range(10, 60, 10):
        fold(partition, upto, changes)
        store.flush(partition)
        sizes.append(partition.size)
    assert len(set(sizes)) == 1
    assert sizes[0] > 20_000


class TestOutputRows:
    def test_they_are_flushed_as_they_came_each_once(self, store: Store) -> None:
        partition = store.fold()
        fold(partition, 10, output=output({(3, 0): "{}", (3, 1): "[1]"}))
        fold(partition, 20)
        snapshot = partition.snapshot()
        assert snapshot
        fold(partition, 30, output=output({(25, 0): "[2]"}))
        assert snapshot.output == [output({(3, 0): "{}", (3, 1): "[1]"})]
        assert store.sink.flush(store.generation.id, [snapshot]) == [True]
        partition.decided(snapshot)
        assert list(store.sink.output_rows(store.generation.id, ["file-1"])) == [
            ("file-1", 3, 0, "{}"),
            ("file-1", 3, 1, "[1]"),
        ]
        store.flush(partition)
        found = store.sink.output_rows(store.generation.id, ["file-1"])
        assert [row.offset for row in found] == [3, 3, 25]

    def test_they_take_memory_until_they_are_flushed_and_no_longer(self, store: Store) -> None:
        partition = store.fold()
        rows = output({(3, 0): "x" * 1_000_000})
        fold(partition, 10, {(0, "[1]"): 1}, size=len(rows), output=rows)
        assert partition.size == partition.unflushed > 1_000_000
        snapshot = partition.snapshot()
        assert snapshot
        partition.evict()
        assert partition.unflushed == 0
        assert partition.size > 1_000_000
        fold(partition, 20, {(0, "[1]"): 1}, size=len(rows), output=rows)
        assert partition.size > 2_000_000
        store.sink.flush(store.generation.id, [snapshot])
        partition.decided(snapshot)
        assert 1_000_000 < partition.size < 1_100_000
        store.flush(partition)
        assert 0 < partition.size < 100_000


class TestReplay:
    LETTER = ("file-1", 5, 0)

    def replay(self, fold: Fold, offset: int) -> None:
        rows = output({(5, 0): f"[{offset}]"})
        fold.fold_replay(offset + 1, self.LETTER, ONE, result({(0, "[1]"): 1}, output=rows), size=100)

    @pytest.fixture
    def partition(self, store: Store) -> Fold:
        store.fold("file-1")
        partition = store.fold(REPLAY)
        self.replay(partition, 0)
        return partition

    def check(self, store: Store, upto: int) -> None:
        _, checkpoint = store.sink.checkpoints(store.generation.id)
        assert (checkpoint.upto, checkpoint.ledger) == (upto, ONE)
        assert store.rows() == {(0, "[1]"): 1}
        found = store.sink.output_rows(store.generation.id, ["file-1", REPLAY])
        assert list(found) == [("file-1", 5, 0, "[0]")]

    def test_a_letter_is_remembered_before_it_is_flushed(self, store: Store, partition: Fold) -> None:
        self.replay(partition, 1)
        store.flush(partition)
        self.check(store, 2)

    def test_a_letter_is_remembered_while_it_is_flushed(self, store: Store, partition: Fold) -> None:
        snapshot = partition.snapshot()
        assert snapshot
        self.replay(partition, 1)
        store.sink.flush(store.generation.id, [snapshot])
        partition.decided(snapshot)
        store.flush(partition)
        self.check(store, 2)

    def test_a_letter_is_remembered_by_the_next_owner(self, store: Store, partition: Fold) -> None:
        store.flush(partition)
        following = store.fold(REPLAY)
        self.replay(following, 1)
        store.flush(following)
        self.check(store, 2)

    def test_the_next_attempt_is_another_letter(self, store: Store, partition: Fold) -> None:
        partition.fold_replay(2, ("file-1", 5, 1), ONE, result({(0, "[1]"): 1}), size=100)
        store.flush(partition)
        assert store.rows() == {(0, "[1]"): 2}
