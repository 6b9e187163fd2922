"""Canonical values: JSON text in which equal values are equal, and numbers that can be added up.

Numbers are one type: 200 and 200.0 are both `200`; `true` is not 1, and `"1"` is not 1. NaN is null, a
datetime is ISO 8601 text in UTC, bytes are the text that they hold in UTF-8. Whatever else there is has no
canonical text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from comporta.event_time import Milliseconds, to_datetime, to_text
from comporta.scalars import shown, unwrapped

NULL = "null"
GREATEST = 2**1024 - 2**970
"""No number may be as great as that: it is the least that is no float, rounded to the nearest."""


def canonical(value: Any) -> str:
    """The canonical JSON text of a value. Raises `ValueError`, in words, for one that has none."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is int:
        return _whole(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return _float(value)
    if kind is bytes:
        return _bytes(value)
    return _unusual(value)


def plain_texts(values: Sequence[Any]) -> list[str] | None:
    """The canonical JSON texts of values that are all ASCII text; None where one is anything else."""
    if set(map(type, values)) == {str} and all(map(str.isascii, values)):
        return list(map(encode_basestring, values))
    return None


def _unusual(value: Any) -> str:
    """Subclasses, and what other libraries have for the same things."""
    plain = unwrapped(value)
    if plain is not value:
        return canonical(plain)
    if isinstance(value, datetime):
        return canonical(to_text(value))
    if isinstance(value, Milliseconds):
        return canonical(_moment(value))
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, (int, float, Decimal)):
        return canonical(plain_number(value))
    if isinstance(value, (bytes, bytearray)):
        return _bytes(bytes(value))
    raise ValueError(
        f"{shown(value)} is a {type(value).__name__}; return text, a number, a bool, a datetime or None"
    )


def plain_number(value: Any) -> int | float:
    """The int or float of a number of any class. Raises `ValueError` for what is no number: text, a bool.

    NaN and infinity are numbers here. A `Decimal` becomes the nearest float, unless it is whole.
    """
    if isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() < 400 and value == value.to_integral_value():
            return int(value)
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(
            f"{shown(value)} is a {type(value).__name__}, not a number; convert it with int() or float()"
        )
    return int(value) if isinstance(value, int) else float(value)


def _moment(value: Milliseconds) -> str:
    try:
        return to_text(to_datetime(value))
    except OverflowError:
        raise ValueError(f"{value} ms since 1970 are beyond the years that dates have") from None


def _whole(value: int) -> str:
    if -GREATEST < value < GREATEST:
        return str(value)
    raise ValueError(f"an integer of {value.bit_length()} bits is too great: it must be below 1.8e308")


def _float(value: float) -> str:
    if value.is_integer():
        return str(int(value))
    if math.isinf(value):
        raise ValueError(f"{value!r} is not finite; return None where there is no value")
    return "null" if value != value else repr(value)


def _bytes(value: bytes) -> str:
    try:
        return encode_basestring(value.decode())
    except UnicodeDecodeError:
        raise ValueError(f"{shown(value)} is not UTF-8; decode it, such as with .decode('latin-1')") from None


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{shown(value)} has lone surrogates, which are no text; decode with errors='replace'"
            ) from None
    return encode_basestring(value)
