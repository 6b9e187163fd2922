from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy
import pandas
import pyarrow
import pytest
from batches import refuse, times
from hypothesis import given
from hypothesis import strategies as st

from comporta.event_time import EARLIEST, LATEST, Milliseconds, TimeReader, parse_iso, to_datetime, to_text
from comporta.times import Times

NOON = datetime(2015, 5, 17, 12, 0, tzinfo=timezone.utc)
NOON_MS = int(NOON.timestamp()) * 1000


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2015, 5, 17, 12, 0),
        NOON.astimezone(timezone(timedelta(hours=-5))),
        NOON.timestamp(),
        int(NOON.timestamp()),
        NOON_MS,
        float(NOON_MS),
        Decimal(NOON_MS),
        Milliseconds(NOON_MS),
        "2015-05-17T12:00:00Z",
        "2015-05-17 12:00:00",
        "2015-05-17T12:00",
        "20150517T120000Z",
        "2015-05-17T14:00:00.000+02:00",
        "2015-05-17T14:00:00+0200",
        "2015-05-17T12:00:00.000000000Z",
        "2015-W20-7T12:00:00z",
        b"2015-05-17T12:00:00Z",
        numpy.datetime64("2015-05-17T12:00:00"),
        numpy.datetime64("2015-05-17T12:00:00", "ns"),
        numpy.int64(NOON_MS),
        numpy.float64(NOON_MS / 1000),
        pandas.Timestamp("2015-05-17T12:00:00"),
        pyarrow.scalar(NOON, pyarrow.timestamp("ms", "UTC")),
        pandas.Timestamp("2015-05-17T14:00:00+02:00"),
    ],
)
def test_every_way_to_say_noon(value: Any) -> None:
    assert times(Times(None), [value]) == [NOON_MS]
    assert times(Times(None), [value, None, value]) == [NOON_MS, None, NOON_MS]


@pytest.mark.parametrize("value", [None, pandas.NaT, pandas.NA, numpy.datetime64("NaT", "ns")])
def test_what_is_missing_is_none(value: Any) -> None:
    assert times(Times(None), [value]) == [None]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "noon",
        "10:00:00",
        "1431864000",
        "1712051201234",
        "2015-05-17x10:05:03",
        "2015-02-30T00:00:00Z",
        "2015-05-17T12:00:00Zulu",
        "9999-12-31T24:00",
        "\udc80",
        b"\xff",
        True,
        float("nan"),
        float("inf"),
        -float("inf"),
        10**40,
        1.7e18,
        -1e11,
        datetime.min,
        datetime.max,
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        Milliseconds(LATEST + 1),
        Milliseconds(EARLIEST - 1),
        [],
        {},
        NOON.date(),
        object(),
        numpy.array([1, 2]),
    ],
)
def test_what_cannot_be_understood_is_told_and_the_rest_is_read(value: Any) -> None:
    told: dict[int, str] = {}
    assert times(Times(None), [NOON_MS, value, "2015-05-17T12:00Z"], told.__setitem__) == [
        NOON_MS,
        None,
        NOON_MS,
    ]
    assert list(told) == [1]
    assert times(Times(None), [value], told.__setitem__) == [None]
    assert told[0] == told[1]
    assert told[0].startswith("time ")


def test_a_number_is_seconds_below_1e11_and_milliseconds_from_there() -> None:
    read = TimeReader(None).read
    assert read(99_999_999_999) == 99_999_999_999_000
    assert read(100_000_000_000) == 100_000_000_000
    assert read(-1.5) == -1500
    assert read(-0.0005) == -1  # rounded down, into the bucket before 1970


def test_text_is_read_by_its_format_or_as_iso() -> None:
    reader = Times("%d/%b/%Y:%H:%M:%S %z")
    texts = ["17/May/2015:14:00:00 +0200", "2015-05-17T12:00:00Z", "17/Mai/2015"]
    told: dict[int, str] = {}
    assert times(reader, texts, told.__setitem__) == [NOON_MS, NOON_MS, None]
    assert told == {2: "time '17/Mai/2015' is neither '%d/%b/%Y:%H:%M:%S %z' nor ISO 8601"}


def test_a_format_without_a_zone_is_utc() -> None:
    assert TimeReader("%Y %m %d %H").read("2015 05 17 12") == NOON_MS


def test_text_is_parsed_once_per_distinct_value(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def counting(text: str) -> datetime:
        parsed.append(text)
        return parse_iso(text)

    monkeypatch.setattr("comporta.event_time.parse_iso", counting)
    reader = Times(None)
    reader.column(["2015-05-17T12:00Z"] * 1000, refuse)
    reader.column(["2015-05-17T12:00Z", "2015-05-17T12:01Z"], refuse)
    assert parsed == ["2015-05-17T12:00Z", "2015-05-17T12:01Z"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comporta.times.REMEMBERED", 10)
    reader = Times(None)
    for day in range(1, 29):
        assert times(reader, [f"2015-02-{day:02}", None]) == [
            (datetime(2015, 2, day, tzinfo=timezone.utc).timestamp() * 1000),
            None,
        ]
    assert len(reader._known) <= 10


@given(st.datetimes(min_value=datetime(101, 1, 1), max_value=datetime(9899, 12, 31)))
def test_text_comes_back_as_the_same_time(moment: datetime) -> None:
    text = to_text(moment)
    assert parse_iso(text) == moment.replace(tzinfo=timezone.utc)
    read = TimeReader(None).read(text)
    assert read is not None
    assert to_datetime(read) == moment.replace(
        microsecond=moment.microsecond // 1000 * 1000, tzinfo=timezone.utc
    )


def test_text_is_in_utc() -> None:
    assert to_text(NOON.astimezone(timezone(timedelta(hours=2)))) == "2015-05-17T12:00:00Z"
    assert to_text(datetime(2015, 5, 17, 12, 0, 0, 5)) == "2015-05-17T12:00:00.000005Z"
    with pytest.raises(ValueError, match="beyond"):
        to_text(datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))))
