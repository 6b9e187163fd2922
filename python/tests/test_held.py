from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steps import columns, metric

from comporta.forgotten import Forgotten
from comporta.held import Held
from comporta.metrics import from_definition
from comporta.sinks.contract import Cell


def held(kind: str, **options: Any) -> Held:
    return Held(from_definition(metric("it", kind, **options)), ("file-1", "it"), Forgotten())


def nothing(metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
    return {}


def fold(rows: Held, cells: dict[Cell, Any]) -> None:
    rows.fold(columns(cells, cells.values()), nothing, is_all_here=True)


def test_a_row_that_changes_while_it_is_flushed_is_there_twice_until_then() -> None:
    rows = held("count")
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
    rows = held("distinct", of="user")
    fold(rows, {(0, "[1]"): list(range(100))})
    once = rows.size
    assert once > 5_000
    fold(rows, {(0, "[1]"): list(range(100, 200))})
    assert rows.size > 1.8 * once


def test_a_state_that_is_read_back_takes_memory_again() -> None:
    def read(metric: str, cells: Sequence[Cell]) -> dict[Cell, Any]:
        return {cell: list(range(100)) for cell in cells}

    rows = held("distinct", of="user")
    rows.fold(columns({(0, "[1]"): [1]}, [[1]]), read, is_all_here=False)
    assert rows.size > 5_000
