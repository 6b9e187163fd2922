"""Durations, sizes and times as people write them on the command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from comporta.event_time import TimeReader, to_datetime

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def duration(text: str) -> int:
    """The milliseconds of a duration such as `250ms`, `1.5s` or `5m`. Raises `ValueError` in words."""
    return _quantity(text, MILLISECONDS, "a duration such as 250ms, 1s, 5m or 1h")


def size(text: str) -> int:
    """The bytes of a size such as `512KiB` or `1GiB`. Raises `ValueError` in words."""
    return _quantity(text, BYTES, "a size such as 512KiB, 256MiB or 1GiB")


def moment(text: str) -> datetime:
    """A time in ISO 8601 (UTC if it names no zone), or seconds or milliseconds since 1970, as rows have them.

    Raises `ValueError` in words.
    """
    is_number = re.fullmatch(r"(?!(?:19|20)\d{6}\Z)\d+(\.\d+)?", text, re.ASCII)  # 20150517 is a date
    try:
        milliseconds = TimeReader(None).read(float(text) if is_number else text)
        assert milliseconds is not None
        return to_datetime(milliseconds)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time such as 2015-05-17, 2015-05-17T10:00:00Z or 1431856800"
        ) from None


def _quantity(text: str, units: Mapping[str, int], right: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text.strip())
    amount = round(float(match[1]) * units.get(match[2], 0)) if match else 0
    if amount <= 0:
        raise ValueError(f"{text!r} is not {right}")
    return amount
