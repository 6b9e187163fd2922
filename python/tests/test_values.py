from __future__ import annotations

import enum
import json
import math
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy
import pandas
import pyarrow
import pytest
from batches import numbers, refuse
from hypothesis import given
from hypothesis import strategies as st

from comporta.columns import text_column
from comporta.event_time import Milliseconds
from comporta.values import canonical


class Level(str, enum.Enum):
    HIGH = "high"


class Status(enum.IntEnum):
    OK = 200


SAME = [
    (
        "200",
        [200, 200.0, Decimal("200.00"), numpy.int64(200), numpy.float32(200), Status.OK, pyarrow.scalar(200)],
    ),
    ("0", [0, 0.0, -0.0, Decimal("-0")]),
    ("0.1", [0.1, Decimal("0.1"), numpy.float64(0.1)]),
    ("1152921504606846976", [2**60, 2.0**60]),
    ("true", [True, numpy.bool_(True)]),
    ("false", [False]),
    (
        "null",
        [
            None,
            math.nan,
            numpy.float64("nan"),
            Decimal("nan"),
            pandas.NA,
            pandas.NaT,
            numpy.datetime64("NaT", "ns"),
        ],
    ),
    ('"1"', ["1", b"1", numpy.str_("1"), bytearray(b"1")]),
    ('"high"', ["high", Level.HIGH]),
    ('"é\\n\\"\u2028"', ['é\n"\u2028', 'é\n"\u2028'.encode()]),
    (
        '"2015-05-17T12:00:00Z"',
        [
            datetime(2015, 5, 17, 12),
            datetime(2015, 5, 17, 14, tzinfo=timezone(timedelta(hours=2))),
            pandas.Timestamp("2015-05-17T12:00:00Z"),
            numpy.datetime64("2015-05-17T12:00:00", "ns"),
            Milliseconds(1_431_864_000_000),
        ],
    ),
]

NOT_CANONICAL = [
    math.inf,
    -math.inf,
    numpy.float64("inf"),
    Decimal("inf"),
    Decimal("1e1000000"),
    Milliseconds(10**15),
    Decimal("sNaN"),
    2**1024,
    10**5000,
    "\udc80",
    b"\xff",
    [],
    {},
    (1,),
    {1},
    date(2015, 5, 17),
    timedelta(1),
    uuid.UUID(int=1),
    1j,
    object(),
    numpy.array([1]),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
]


@pytest.mark.parametrize(("text", "values"), SAME)
def test_equal_values_are_equal_text(text: str, values: list[Any]) -> None:
    assert [canonical(value) for value in values] == [text] * len(values)
    assert text_column(values, refuse).values() == [text] * len(values)


def test_different_values_are_different_text() -> None:
    everything = [(text, value) for text, values in SAME for value in values]
    assert text_column([value for _, value in everything], refuse).values() == [
        text for text, _ in everything
    ]


@pytest.mark.parametrize("value", NOT_CANONICAL, ids=lambda value: type(value).__name__)
def test_what_has_no_canonical_text_is_told_and_the_rest_is_read(value: Any) -> None:
    told: dict[int, str] = {}
    texts = text_column(["a", value, True, 1, value], told.__setitem__).values()
    assert (texts[0], texts[2], texts[3]) == ('"a"', "true", "1")
    assert list(told) == [1, 4]
    assert all(len(why) < 300 for why in told.values())
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


JSON_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)


@given(JSON_VALUES)
def test_canonical_text_is_the_json_of_the_value(value: Any) -> None:
    read = json.loads(canonical(value))
    assert read == value
    assert isinstance(read, bool) == isinstance(value, bool)


@given(st.lists(JSON_VALUES | st.binary(max_size=3)))
def test_a_column_is_its_values_one_by_one(values: list[Any]) -> None:
    expected: list[str | None] = []
    for value in values:
        try:
            expected.append(canonical(value))
        except ValueError:
            expected.append(None)
    told: dict[int, str] = {}
    texts = text_column(values, told.__setitem__).values()
    assert [None if index in told else text for index, text in enumerate(texts)] == expected


def test_numbers_are_taken_as_they_are() -> None:
    values = [1, 2.5, -3, None, 2**1000, 1e308]
    assert numbers(values) == values
    assert list(map(type, numbers(values))) == list(map(type, values))


def test_numbers_of_other_classes_become_plain() -> None:
    values = [
        numpy.int32(1),
        numpy.float64(0.5),
        Decimal("2"),
        Decimal("0.1"),
        Status.OK,
        pandas.NA,
        numpy.longdouble(3),
    ]
    assert numbers(values) == [1, 0.5, 2, 0.1, 200, None, 3.0]


@pytest.mark.parametrize(
    "value",
    [
        True,
        numpy.bool_(True),
        "1",
        b"1",
        math.nan,
        math.inf,
        -math.inf,
        Decimal("nan"),
        Decimal("sNaN"),
        2**1024,
        -(10**400),
        [],
        1j,
    ],
    ids=repr,
)
def test_what_is_not_a_finite_number_is_told(value: Any) -> None:
    told: dict[int, str] = {}
    found = numbers([1, value, 2.5, None], told.__setitem__)
    assert list(told) == [1]
    assert [found[index] for index in (0, 2, 3)] == [1, 2.5, None]


def test_finite_numbers_whose_sum_is_not_are_numbers() -> None:
    assert numbers([1e308, 1e308, 2**1023, None]) == [1e308, 1e308, 2**1023, None]
