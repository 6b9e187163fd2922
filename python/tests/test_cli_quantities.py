from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from comporta.cli.quantities import duration, moment, size


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("250ms", 250), ("1s", 1_000), ("1.5s", 1_500), ("5m", 300_000), ("1h", 3_600_000), ("2d", 172_800_000)],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert duration(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "soon", "1", "s", "0s", "0.1ms", "-1s", "1 year", "1S", "nan s", "1s2s"]
)
def test_what_is_no_duration_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 250ms, 1s"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"), [("1B", 1), ("512KiB", 524_288), ("1.5 MiB", 1_572_864), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "1", "1GB", "0GiB", "1gib", "big"])
def test_what_is_no_size_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size such as 512KiB"):
        size(text)


@pytest.mark.parametrize(
    "text",
    [
        "2015-05-17T10:00:00Z",
        "2015-05-17T10:00:00",
        "2015-05-17 10:00:00z",
        "2015-05-17T12:00:00+02:00",
        "1431856800",
        "1431856800000",
    ],
)
def test_moments(text: str) -> None:
    assert moment(text) == datetime(2015, 5, 17, 10, tzinfo=timezone.utc)


def test_a_date_is_its_midnight_in_utc() -> None:
    assert moment("2015-05-17") == datetime(2015, 5, 17, tzinfo=timezone.utc)


def test_fractions_of_seconds() -> None:
    assert moment("0.5") == datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=500)


@pytest.mark.parametrize("text", ["", "yesterday", "2015-13-01", "17/May/2015", "9" * 30])
def test_what_is_no_moment_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time such as 2015-05-17"):
        moment(text)


def test_eight_digits_that_are_a_date_are_one() -> None:
    assert moment("20150517") == datetime(2015, 5, 17, tzinfo=timezone.utc)
    assert moment("14318640") == datetime(1970, 6, 15, 17, 24, tzinfo=timezone.utc)
