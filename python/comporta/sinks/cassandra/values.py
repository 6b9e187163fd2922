"""How a metric's packed state is spelled in columns: numbers as numbers, for people to read.

| form | state | columns |
| --- | --- | --- |
| `int` | a whole number | `number` |
| `float` | a float | `real` |
| `sum` | number / 2^scale, exactly | `number`, `scale` |
| `mean` | number / 2^scale / count, exactly | `number`, `scale`, `count` |
| `state` | anything else, as sketches are | `state`, in msgpack |

A state is of the form that its row says; columns that this form does not have are what is left of another
form, and mean nothing. So no write holds a null, which would be a tombstone.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

from comporta import payloads
from comporta.metrics.numbers import pack_number, unpack_number

FORMS = {
    "int": ("number",),
    "float": ("real",),
    "sum": ("number", "scale"),
    "mean": ("number", "scale", "count"),
    "state": ("state",),
}
COLUMNS = ("form", "number", "real", "scale", "count", "state")

_double, _int, _bigint = struct.Struct(">d").pack, struct.Struct(">i").pack, struct.Struct(">q").pack


def encoded(state: Any) -> tuple[str, list[bytes]]:
    """The form of a packed state, and its columns as the native protocol has them."""
    kind = type(state)
    if kind is int:
        return "int", [varint(state)]
    if kind is float:
        return "float", [_double(state)]
    if kind is list and 2 <= len(state) <= 3 and _is_exact(state):
        number, scale, *count = state
        whole = varint(int(unpack_number(number)))
        return ("mean" if count else "sum"), [whole, _int(scale), *map(_bigint, count)]
    return "state", [payloads.pack(state)]


def decoded(form: str, number: int, real: float, scale: int, count: int, state: bytes) -> Any:
    """The packed state of a row's columns."""
    if form == "int":
        return number
    if form == "float":
        return real
    if form == "sum":
        return [pack_number(number), scale]
    if form == "mean":
        return [pack_number(number), scale, count]
    return payloads.unpack(state)


@lru_cache(maxsize=4096)  # for counts: most of them are small
def varint(number: int) -> bytes:
    """A whole number of any size as CQL's varint."""
    return number.to_bytes((number.bit_length() + 8) // 8, "big", signed=True)


def _is_exact(state: list[Any]) -> bool:
    """Whether a list is one that `sum` or `mean` packs: it comes back as it was from those columns."""
    number, scale, *count = state
    if type(scale) is not int or not 0 <= scale < 2**31 or any(type(n) is not int for n in count):
        return False
    if any(not 0 <= n < 2**63 for n in count):
        return False
    if type(number) is int:
        return True
    if type(number) is not str:
        return False
    try:
        return bool(pack_number(int(number, 16)) == number)
    except ValueError:
        return False
