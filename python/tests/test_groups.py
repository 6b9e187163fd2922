from __future__ import annotations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.groups import LONGEST_KEY, Grouping, crossed, key_text, number, number_integers


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


@given(columns)
def test_rows_are_crossed_by_all_of_several_groupings(rows: list[tuple[int, str, bool]]) -> None:
    columns = [number([row[place] for row in rows]) for place in range(3)]
    both = crossed(columns, len(rows))
    assert both.values() == rows
    assert sorted(both.identities) == sorted(set(rows))


def test_crossed_by_nothing_all_rows_are_one_group() -> None:
    assert shown(crossed([], 2)) == ([0, 0], [()])
    assert shown(crossed([], 0)) == ([], [])


def test_there_may_be_more_groups_than_a_table_takes() -> None:
    many = [number(range(start, start + 3000)) for start in (0, 7, 9)]
    assert crossed(many, 3000).values() == [(n, n + 7, n + 9) for n in range(3000)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers()), max_size=30))
def test_values_are_split_by_group_in_their_order(rows: list[tuple[int, int]]) -> None:
    groups = number([group for group, _ in rows])
    parts = list(groups.split(numpy.array([value for _, value in rows], numpy.object_)))
    expected = [[value for group, value in rows if group == identity] for identity in groups.identities]
    assert [part.tolist() for part in parts] == expected
    assert groups.sizes() == list(map(len, expected))


def test_a_key_is_the_json_text_of_a_list() -> None:
    assert key_text([]) == "[]"
    assert key_text(["1", '"a"', "null"]) == '[1,"a",null]'


def test_a_key_is_measured_in_bytes() -> None:
    fits = '"' + "é" * ((LONGEST_KEY - 4) // 2) + '"'
    assert len(key_text([fits]).encode()) == LONGEST_KEY
    with pytest.raises(ValueError, match="more than 32,768 bytes"):
        key_text([fits + " "])
