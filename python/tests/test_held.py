from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from steps import columns

import comporta as c
from comporta.forgotten import Forgotten
from comporta.held import Held
from comporta.metrics.contract import Metric
from comporta.payloads import Columns
from comporta.sinks.contract import Cell


def held(metric: Metric[Any]) -> Held:
    return Held(metric, ("file-1", "it"), Forgotten())


def nothing(metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
    return {}


def fold(rows: Held, cells: dict[Cell, Any]) -> None:
    rows.fold(columns(cells, cells.values()), nothing, is_all_here=True)


def test_a_row_that_changes_while_it_is_flushed_is_there_twice_until_then() -> None:
    rows = held(c.count("it"))
    fold(rows, {(0, "[1]"): 1, (0, "[2]"): 1})
    both = rows.size
    assert rows.unflushed == both > 0
    rows.snapshot()
    fold(rows, {(0, "[1]"): 1})
    assert (rows.size, rows.unflushed) == (both + both // 2, both // 2)
    rows.settled()
    rows.snapshot()
    rows.settled()
    assert (rows.size, rows.unflushed) == (both, 0)
    rows.evict()
    assert rows.size == 0


def test_a_state_that_is_a_collection_takes_what_is_merged_into_it() -> None:
    rows = held(c.distinct("it", of="user"))
    fold(rows, {(0, "[1]"): list(range(100))})
    once = rows.size
    assert once > 5_000
    fold(rows, {(0, "[1]"): list(range(100, 200))})
    assert rows.size > 1.8 * once


def test_a_state_that_is_read_back_takes_memory_again() -> None:
    def read(metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        return {cell: list(range(100)) for cell in cells}

    rows = held(c.distinct("it", of="user"))
    rows.fold(columns({(0, "[1]"): [1]}, [[1]]), read, is_all_here=False)
    assert rows.size > 5_000


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (Columns(buckets=[(0, 2)], keys=["[1]", "[2]"], deltas=[1]), "2 keys, 1 deltas, and buckets of 2"),
        (Columns(buckets=[(0, 1)], keys=["[1]"], deltas=[1, 1]), "1 keys, 2 deltas, and buckets of 1"),
        (Columns(buckets=[(0, 1)], keys=["[1]", "[2]"], deltas=[1, 1]), "2 keys, 2 deltas, and buckets of 1"),
        (Columns(buckets=[(0, 1), (0, 1)], keys=["[1]", "[2]"], deltas=[1, 1]), "a bucket comes twice"),
        (Columns(buckets=[(60, 2)], keys=["[1]", "[1]"], deltas=[1, 1]), "key of the bucket 60 comes twice"),
    ],
)
def test_columns_that_are_none_are_refused(wrong: Columns, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        held(c.count("it")).fold(wrong, nothing, is_all_here=True)


@pytest.mark.parametrize(
    ("metric", "deltas", "whole", "part"),
    [
        (c.count("it"), [1, 2, 3], 6, 5),
        (c.sum("it", of="bytes"), [[1, 0], [2, 0], [3, 0]], 6, 5),
        (c.distinct("it", of="user"), [[7], [8], [9]], 3, 2),
    ],
)
def test_deltas_are_merged_wherever_their_rows_are(
    metric: Metric[Any], deltas: list[Any], whole: int, part: int
) -> None:
    rows, (first, *others) = held(metric), deltas

    def read(metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        return {cell: first for cell in cells if cell == (0, "sink")}

    def change(keys: Sequence[str], delta: Any) -> None:
        rows.fold(columns([(0, key) for key in keys], [delta] * len(keys)), read, is_all_here=False)

    change(["clean"], first)
    rows.snapshot()
    rows.settled()
    change(["flushing"], first)
    rows.snapshot()
    change(["changed"], first)
    for delta in others:
        change(["changed", "flushing", "clean", "sink", "new"], delta)
    changed = {key: metric.value(metric.unpack(state)) for key, state in rows.snapshot()[0].items()}
    assert changed == {"changed": whole, "flushing": whole, "clean": whole, "sink": whole, "new": part}
