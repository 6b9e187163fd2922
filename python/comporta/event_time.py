"""Event time: what a row's `time` may be, as milliseconds since 1970 UTC, and back to text.

Times are rounded down to the millisecond. Only those of the years 101 to 9899 are understood, so that a
bucket around any of them begins and ends at a date that can be said.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from dateutil.parser import isoparser

from comporta.scalars import shown, unwrapped

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)
EARLIEST = (datetime(101, 1, 1, tzinfo=timezone.utc) - EPOCH) // MILLISECOND
LATEST = (datetime(9900, 1, 1, tzinfo=timezone.utc) - EPOCH) // MILLISECOND - 1
SECONDS_BELOW = 100_000_000_000  # a number below is seconds, one that is not is milliseconds

# What `datetime.fromisoformat` reads alike on every Python, and fast.
COMMON_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?([+-]\d\d:\d\d)?", re.ASCII
).fullmatch

# A date, and a time only after what separates them: digits alone are a number of seconds or milliseconds.
ISO_DATE = re.compile(r"[\dW-]{4,10}(\Z|[T ])", re.ASCII).match


class Milliseconds(int):
    """Milliseconds since 1970, told by their type from a number whose unit must be guessed."""


class TimeReader:
    """Reads the times of a pipeline's rows.

    `time_format` is how text is written (as `datetime.strptime` has it), beside ISO 8601.
    """

    def __init__(self, time_format: str | None) -> None:
        self._format = time_format

    def read(self, value: Any) -> int | None:
        """Milliseconds of one value. Raises `ValueError` in words if it cannot be understood."""
        if isinstance(value, Milliseconds):
            return _within(value, value)
        value = unwrapped(value)
        if value is None:
            return None
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes):
            return self._text(value.decode("utf-8", "backslashreplace"))
        if isinstance(value, datetime):
            return since_epoch(value)
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return _number(float(value) if isinstance(value, Decimal) else value)
        raise ValueError(
            f"time {shown(value)} is a {type(value).__name__}; return a datetime, ISO 8601 text, or a number"
            " of seconds or milliseconds since 1970"
        )

    def _text(self, text: str) -> int:
        if self._format is not None:
            try:
                return since_epoch(datetime.strptime(text, self._format))
            except (ValueError, OverflowError):
                pass
        try:
            return since_epoch(parse_iso(text))
        except (ValueError, OverflowError):
            wanted = "not ISO 8601" if self._format is None else f"neither {self._format!r} nor ISO 8601"
            hint = "; say how it is written with time_format=" if self._format is None else ""
            raise ValueError(f"time {shown(text)} is {wanted}{hint}") from None


def parse_iso(text: str) -> datetime:
    """The `datetime` of ISO 8601 text, the same on every Python. Raises `ValueError`."""
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    if COMMON_ISO(text):
        return datetime.fromisoformat(text)
    if not ISO_DATE(text):
        raise ValueError(f"{text!r} does not begin with a date")
    moment: datetime = isoparser().isoparse(text)
    return moment


def since_epoch(moment: datetime) -> int:
    """Milliseconds since 1970 of a `datetime`, in UTC if it has no zone. Raises `ValueError` out of range."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return _within(int((moment - EPOCH) // MILLISECOND), moment)


def is_time(milliseconds: int) -> bool:
    """Whether milliseconds since 1970 are in the range that is understood."""
    return EARLIEST <= milliseconds <= LATEST


def to_datetime(milliseconds: int) -> datetime:
    """The `datetime`, in UTC, of milliseconds since 1970."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def to_text(moment: datetime) -> str:
    """A `datetime` as ISO 8601 text in UTC, such as "2015-05-17T10:05:03Z"; without a time zone it is UTC.

    Raises `ValueError` if in UTC it would be before the year 1 or after the year 9999.
    """
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
        except OverflowError:
            raise ValueError(f"{shown(moment)} is beyond the years that dates have in UTC") from None
    return moment.isoformat() + "Z"


def _number(value: float) -> int:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"time {value!r} is not a finite number")
    milliseconds = int(value) if value >= SECONDS_BELOW else int(value * 1000 // 1)
    return _within(milliseconds, value)


def _within(milliseconds: int, value: object) -> int:
    if is_time(milliseconds):
        return milliseconds
    raise ValueError(
        f"time {shown(value)} is not in the years 101 to 9899; a number is seconds since 1970 if it is below"
        " 1e11, else milliseconds"
    )
