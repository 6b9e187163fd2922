from __future__ import annotations

import pytest

from comporta.groups import LONGEST_KEY, key_text, number


def test_equal_things_have_one_number_in_order_of_appearance() -> None:
    grouping = number(["b", "a", "b", "c"])
    assert grouping.indexes == [0, 1, 0, 2]
    assert grouping.identities == ["b", "a", "c"]


def test_selected_rows_keep_their_groups_and_empty_groups_go() -> None:
    chosen = number(["b", "a", "b", "c"]).select([3, 0, 2])
    assert chosen.indexes == [0, 1, 1]
    assert chosen.identities == ["c", "b"]
    assert number([]).select([]) == number([])


def test_a_key_is_the_json_text_of_a_list() -> None:
    assert key_text([]) == "[]"
    assert key_text(["1", '"a"', "null"]) == '[1,"a",null]'


def test_a_key_is_measured_in_bytes() -> None:
    fits = '"' + "é" * ((LONGEST_KEY - 4) // 2) + '"'
    assert len(key_text([fits]).encode()) == LONGEST_KEY
    with pytest.raises(ValueError, match="more than 32,768 bytes"):
        key_text([fits + " "])
