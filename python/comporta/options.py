"""What options of a pipeline may be, checked once, where they are written.

Each function gives the option in the form that the rest of the code trusts, or raises `DefinitionError` with
the file and the line of the call in the user's code.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from comporta.errors import DefinitionError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 36_500 * 86400  # seconds; event times leave as much room at both ends of what dates can say
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
OWN_FOLDER = f"{Path(__file__).parent}{os.sep}"


def invalid(what: str) -> DefinitionError:
    """The error that says `what`, at the innermost line on the stack that is not Comporta's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(OWN_FOLDER):
        frame = frame.f_back
    if frame is None:
        return DefinitionError(what)
    return DefinitionError(what, file=frame.f_code.co_filename, line=frame.f_lineno)


def caller() -> tuple[str, int]:
    """File and line of the innermost call on the stack that is not Comporta's own."""
    place = invalid("")
    return place.file or "", place.line or 0


def name(value: object, what: str) -> str:
    """A name: 1 to 100 letters, digits, `_`, `-` and `.`, of which `-` and `.` do not come first."""
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise invalid(
        f"{value!r} is no name for {what}; write 1 to 100 of a-z, A-Z, 0-9, _, - and ., the first not - or ."
    )


def duration(value: object, option: str) -> int:
    """Seconds of text like "30s", "5m", "24h" or "7d"."""
    found = re.fullmatch(r"([0-9]{1,10})([smhd])", value, re.ASCII) if isinstance(value, str) else None
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST:
        raise invalid(
            f"{option}={value!r} is no duration; write a whole number above zero and s, m, h or d,"
            f' such as {option}="1m" (at most 36500d)'
        )
    return seconds


def field(value: object, option: str) -> str:
    """The name of a field of what a transform returns."""
    if isinstance(value, str) and value and value.isprintable():
        return value
    raise invalid(
        f'{option}={value!r} is no field; name one of what the transform returns, such as {option}="status"'
    )


def fields(value: object, option: str) -> tuple[str, ...]:
    """Names of fields, each once. One field may stand without a list around it."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Iterable) or isinstance(value, (bytes, dict)):
        raise invalid(
            f'{option}={value!r} is no list of fields; write, for example, {option}=["status", "method"]'
        )
    names = tuple(field(item, option) for item in value)
    for item in names:
        if names.count(item) > 1:
            raise invalid(f"{option}={list(names)!r} names {item!r} twice; name each field once")
    return names


def whole(value: object, option: str, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise invalid(f"{option}={value!r} cannot be; write a whole number from {least} to {most}")
