"""Both pickers gather the same columns of what a transform makes, whatever that is."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from enum import IntEnum
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.columns import Bad, Column, number_column, text_column, values
from comporta.groups import Grouping
from comporta.native import native
from comporta.picking import NativePicker, Picker, PythonPicker
from comporta.times import Times

MAKE: list[Callable[[list[str]], Picker]] = [PythonPicker]
if native is not None:
    MAKE.append(NativePicker)


class Text(str):
    """Text of a type of its own."""


class Level(IntEnum):
    """An integer of a type of its own."""

    HIGH = 1


ALIKE: list[st.SearchStrategy[Any]] = [
    st.integers(0, 3),
    st.integers(),
    st.floats(),
    st.sampled_from(["GET", "POST", "", "1", "\ud800"]),
    st.sampled_from([b"GET", b"1", b""]),
    st.booleans(),
    st.none(),
]
ODD: list[Any] = [
    *(Text("GET"), Level.HIGH, [1], {"a": 1}, 1.0, -0.0, 2**63 - 1, -(2**63), 2**63, 2**64),
    *(numpy.int64(1), numpy.float32(0.5), numpy.str_("GET"), datetime(2026, 1, 1, tzinfo=timezone.utc)),
]
VALUE = st.one_of(*ALIKE, st.sampled_from(ODD))
COLUMN = st.one_of(*(st.lists(one, max_size=20) for one in ALIKE), st.lists(VALUE, max_size=8))
MIXED = st.tuples(COLUMN, st.lists(VALUE, max_size=3), COLUMN).map(
    lambda parts: [*parts[0], *parts[1], *parts[2]]
)


def gathered(make: Callable[[list[str]], Picker], column: list[Any]) -> Column:
    found = make(["field"])
    row: dict[str, Any] = {}
    for value in column:
        row["field"] = value  # one dict, again and again
        found.add(row)
    return found.columns()["field"]


def read(column: Column) -> dict[str, Any]:
    """What each use makes of a column's rows, or why it refuses them."""
    refused: dict[str, dict[int, str]] = {"texts": {}, "times": {}, "numbers": {}}

    def refusing(use: str) -> Bad:
        return lambda row, why: refused[use].update({row: refused[use].get(row, why)})

    numbers = number_column(column, refusing("numbers"))
    used = {
        "values": [(type(value), repr(value)) for value in values(column)],
        "texts": text_column(column, refusing("texts")).values(),
        "times": Times(None).column(column, refusing("times")).tolist(),
        "numbers": list(map(repr, numbers.values.tolist())),
        "present": [True] * len(numbers.values) if numbers.present is None else numbers.present.tolist(),
    }
    for use, rows in refused.items():
        for row in rows:
            used[use][row] = None
    return used | {"refused": refused}


@pytest.mark.skipif(native is None, reason="there is no native module here")
@given(MIXED)
def test_both_gather_the_same(column: list[Any]) -> None:
    assert read(gathered(NativePicker, column)) == read(gathered(PythonPicker, column))


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize(
    "column",
    [
        [],
        [1, 2, 1],
        [1, None, 2],
        [1, True],
        [True, 1],
        [1, 1.0],
        [None, None],
        [None, 3, "3"],
        ["GET", None, "POST", "GET"],
        ["GET", b"GET"],
        [b"GET", None, b"GET"],
        [False, None, True],
        [0.5, -0.0, 0.0],
        [0.5, None],
        [2**63 - 1, 2**63],
        [Text("GET"), "GET"],
        [Level.HIGH, 1],
        [[1], [1]],
    ],
    ids=repr,
)
def test_each_row_keeps_the_value_and_its_type(
    make: Callable[[list[str]], Picker], column: list[Any]
) -> None:
    found = values(gathered(make, column))
    assert [(type(value), repr(value)) for value in found] == [(type(value), repr(value)) for value in column]


@pytest.mark.parametrize("make", MAKE)
def test_a_field_that_a_row_does_not_have_is_none(make: Callable[[list[str]], Picker]) -> None:
    found = make(["status", "method"])
    found.add({"status": 200, "method": "GET"})
    found.add({"status": 304})
    found.extend([{"method": "POST"}, {}])
    columns = found.columns()
    assert list(map(values, columns.values())) == [[200, 304, None, None], ["GET", None, "POST", None]]
    assert list(columns) == ["status", "method"]


@pytest.mark.parametrize("make", MAKE)
def test_without_fields_there_are_no_columns(make: Callable[[list[str]], Picker]) -> None:
    found = make([])
    found.add({"status": 200})
    found.extend([{"status": 304}])
    assert found.columns() == {}


class Angry:
    """A key that is where another one is looked for, and does not want to be compared."""

    def __init__(self, looks_like: str) -> None:
        self._looks_like = looks_like

    def __hash__(self) -> int:
        return hash(self._looks_like)

    def __eq__(self, other: object) -> bool:
        raise ValueError("do not compare me")


@pytest.mark.parametrize("make", MAKE)
def test_what_raises_adds_nothing(make: Callable[[list[str]], Picker]) -> None:
    angry: dict[Any, Any] = {Angry("method"): 1}
    found = make(["status", "method"])
    found.add({"status": 200, "method": "GET"})
    with pytest.raises(ValueError, match="do not compare me"):
        found.add(angry)
    with pytest.raises(ValueError, match="do not compare me"):
        found.extend([{"status": 1, "method": "PUT"}, angry])
    found.add({"status": 304, "method": "POST"})
    assert list(map(values, found.columns().values())) == [[200, 304], ["GET", "POST"]]


def answer(value: Any) -> Any:
    """A transform: raises what is an exception, and makes the value itself of any other."""
    if isinstance(value, BaseException):
        raise value
    return value


@pytest.mark.parametrize("make", MAKE)
def test_taking_stops_at_what_is_no_row_and_goes_on_after_it(make: Callable[[list[str]], Picker]) -> None:
    angry: dict[Any, Any] = {Angry("a"): 1}
    error = SystemExit(3)
    inputs = iter([{"a": 1}, None, {"a": 2}, [{"a": 3}], {"a": 4}, error, None, angry, {"a": 5}])
    found = make(["a"])
    dropped: list[int] = []
    first = found.take(answer, inputs, 10, dropped)
    assert first == (13, [{"a": 3}], None)
    assert found.take(answer, inputs, 14, dropped) == (15, None, error)
    third = found.take(answer, inputs, 16, dropped)
    assert third is not None
    assert (third[:2], str(third[2])) == ((17, None), "do not compare me")
    assert found.take(answer, inputs, 18, dropped) is None
    assert values(found.columns()["a"]) == [1, 2, 4, 5]
    assert dropped == [11, 16]


@pytest.mark.parametrize("make", MAKE)
def test_a_row_that_is_changed_afterwards_was_taken_as_it_was(make: Callable[[list[str]], Picker]) -> None:
    row: dict[str, Any] = {}

    def again(value: int) -> dict[str, Any]:
        row["a"] = value
        return row

    found = make(["a"])
    assert found.take(again, iter([1, 2, 3]), 0, []) is None
    assert values(found.columns()["a"]) == [1, 2, 3]


@pytest.mark.parametrize("make", MAKE)
def test_what_inputs_raise_is_raised(make: Callable[[list[str]], Picker]) -> None:
    def inputs() -> Iterator[int]:
        yield 1
        raise RuntimeError("no more can be read")

    with pytest.raises(RuntimeError, match="no more can be read"):
        make(["a"]).take(lambda value: {"a": value}, inputs(), 0, [])


@pytest.mark.parametrize("make", MAKE)
def test_what_a_function_raises_knows_where(make: Callable[[list[str]], Picker]) -> None:
    other = make(["a"]).take(answer, iter([ValueError("no")]), 0, [])
    assert other is not None
    assert other[2] is not None
    assert [frame.name for frame in traceback.extract_tb(other[2].__traceback__)][-1] == "answer"


@pytest.mark.skipif(native is None, reason="there is no native module here")
def test_numbers_and_groups_are_kept_as_such() -> None:
    integers = gathered(NativePicker, [3, 1])
    floats = gathered(NativePicker, [0.5, 1.5])
    assert isinstance(integers, numpy.ndarray)
    assert isinstance(floats, numpy.ndarray)
    assert (integers.dtype.name, floats.dtype.name) == ("int64", "float64")
    groups = gathered(NativePicker, ["b", "a", "b"])
    assert isinstance(groups, Grouping)
    assert (groups.indexes.tolist(), groups.identities) == ([0, 1, 0], ["b", "a"])
