from __future__ import annotations

import json
from typing import Any

import numpy
from hypothesis import given
from hypothesis import strategies as st

from comporta.groups import LONGEST_KEY, Grouping, keyed, number, number_integers, too_long


def shown(grouping: Grouping) -> tuple[list[int], list[object]]:
    return grouping.indexes.tolist(), grouping.identities


def test_equal_things_have_one_number_in_order_of_appearance() -> None:
    assert shown(number(["b", "a", "b", "c"])) == ([0, 1, 0, 2], ["b", "a", "c"])


def test_selected_rows_keep_their_groups_and_empty_groups_go() -> None:
    chosen = number(["b", "a", "b", "c"]).select(numpy.array([3, 0, 2]))
    assert shown(chosen) == ([1, 0, 0], ["b", "c"])
    assert shown(number([]).select(numpy.zeros(0, numpy.intp))) == ([], [])


def test_groups_of_one_new_name_become_one() -> None:
    assert shown(number(["b", "a", "c"]).renamed(["x", "y", "x"])) == ([0, 1, 0], ["x", "y"])


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9)))
def test_integers_are_numbered_from_the_least(values: list[int]) -> None:
    grouping = number_integers(numpy.array(values, numpy.int64))
    assert grouping.values() == values
    assert grouping.identities == sorted(set(values))


columns = st.lists(st.tuples(st.integers(0, 3), st.text(max_size=1), st.booleans()), max_size=40)


def columns_of(rows: list[tuple[Any, ...]], width: int) -> list[Grouping]:
    return [number([json.dumps(row[place]) for row in rows]) for place in range(width)]


@given(columns)
def test_the_key_of_a_row_is_the_json_text_of_a_list(rows: list[tuple[int, str, bool]]) -> None:
    keys = keyed(columns_of(rows, 3), len(rows))
    assert [tuple(json.loads(key)) for key in keys.values()] == rows
    assert len(keys.identities) == len(set(keys.identities)) == len(set(rows))


@given(columns)
def test_crossed_groups_come_in_the_order_of_the_first(rows: list[tuple[int, str, bool]]) -> None:
    numbers = number_integers(numpy.array([row[0] for row in rows], numpy.int64))
    texts = number([row[1] for row in rows])
    indexes, first, second = numbers.crossed(texts)
    pairs = [(numbers.identities[one], texts.identities[two]) for one, two in zip(first, second, strict=True)]
    assert [pairs[index] for index in indexes] == [row[:2] for row in rows]
    assert sorted(first.tolist()) == first.tolist()


def test_without_columns_all_rows_have_one_key() -> None:
    assert shown(keyed([], 2)) == ([0, 0], ["[]"])
    assert shown(keyed([], 0)) == ([], [])


def test_there_may_be_more_groups_than_a_table_takes() -> None:
    many = [(n, n + 7, n + 9) for n in range(3000)]
    assert keyed(columns_of(many, 3), 3000).values() == [f"[{n},{n + 7},{n + 9}]" for n in range(3000)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers()), max_size=30))
def test_values_are_split_by_group_in_their_order(rows: list[tuple[int, int]]) -> None:
    groups = number([group for group, _ in rows])
    parts = list(groups.split(numpy.array([value for _, value in rows], numpy.object_)))
    expected = [[value for group, value in rows if group == identity] for identity in groups.identities]
    assert [part.tolist() for part in parts] == expected
    assert groups.sizes() == list(map(len, expected))


def test_a_key_is_measured_in_bytes() -> None:
    fits = '["' + "é" * ((LONGEST_KEY - 4) // 2) + '"]'
    assert len(fits.encode()) == LONGEST_KEY
    assert too_long([]) == too_long(["[]", fits]) == {}
    ((number, why),) = too_long(["[]", fits + " "]).items()
    assert number == 1
    assert "more than 32,768 bytes" in why
