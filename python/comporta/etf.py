"""Erlang's external term format, as far as headers of frames use it: untrusted bytes become plain values.

| Python | Erlang |
| --- | --- |
| `None`, `True`, `False` | the atoms `nil`, `true`, `false` |
| `int` of any size, finite `float` | integer, float |
| `Atom` | any other atom |
| `str` (as UTF-8), `bytes`; decoded as `bytes` | binary |
| `list`, `tuple`; decoded as `list` | list |
| `dict` with `str` keys | map with atom keys |

Nothing else is encoded or decoded: no tuples, functions, process ids, compressed terms.
Source: https://www.erlang.org/doc/apps/erts/erl_ext_dist.html
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

VERSION = 131
DEEPEST = 64  # levels of lists and maps; the protocol needs three
LONGEST_ATOM = 255  # characters, Erlang's own limit

SMALL_INTEGER, INTEGER, SMALL_BIG, LARGE_BIG, NEW_FLOAT = 97, 98, 110, 111, 70
ATOM, SMALL_ATOM, ATOM_UTF8, SMALL_ATOM_UTF8 = 100, 115, 118, 119
BINARY, NIL, STRING, LIST, MAP = 109, 106, 107, 108, 116

_CONSTANTS: dict[str, object] = {"nil": None, "true": True, "false": False}


class Atom(str):
    """An Erlang atom. It equals the `str` of its name."""

    __slots__ = ()


class DecodeError(ValueError):
    """The bytes are not one whole term of the types that headers use."""


def encode(term: object) -> bytes:
    """The term as external term format.

    Raises `TypeError` for a type that headers do not have, `ValueError` for a value that Erlang does not
    have (a float that is not finite, an atom that is too long) or that is nested too deeply.
    """
    parts = [bytes([VERSION])]
    _encode(term, parts.append, DEEPEST)
    return b"".join(parts)


def _encode(term: object, write: Callable[[bytes], None], depth: int) -> None:
    if term is None or isinstance(term, bool):
        write(_atom("nil" if term is None else str(term).lower()))
    elif isinstance(term, Atom):
        write(_atom(term))
    elif isinstance(term, int):
        write(_integer(term))
    elif isinstance(term, float):
        if not math.isfinite(term):
            raise ValueError(f"{term} cannot be sent: Erlang has only finite floats")
        write(struct.pack(">Bd", NEW_FLOAT, term))
    elif isinstance(term, (str, bytes)):
        # A file's name may hold bytes that are no text, which Python keeps as lone surrogates.
        data = term.encode(errors="backslashreplace") if isinstance(term, str) else term
        write(struct.pack(">BI", BINARY, len(data)))
        write(data)
    elif isinstance(term, (list, tuple, dict)):
        if depth == 0:
            raise ValueError(f"a term is nested more than {DEEPEST} levels deep")
        if isinstance(term, dict):
            _encode_map(term, write, depth - 1)
        else:
            _encode_list(term, write, depth - 1)
    else:
        raise TypeError(f"a value of type {type(term).__qualname__} cannot be sent in a header")


def _encode_list(items: list[Any] | tuple[Any, ...], write: Callable[[bytes], None], depth: int) -> None:
    if items:
        write(struct.pack(">BI", LIST, len(items)))
        for item in items:
            _encode(item, write, depth)
    write(bytes([NIL]))


def _encode_map(entries: dict[Any, Any], write: Callable[[bytes], None], depth: int) -> None:
    write(struct.pack(">BI", MAP, len(entries)))
    for key, value in entries.items():
        if not isinstance(key, str):
            raise TypeError(f"the key {key!r} cannot be sent in a header: keys are str")
        write(_atom(key))
        _encode(value, write, depth)


def _atom(name: str) -> bytes:
    if len(name) > LONGEST_ATOM:
        raise ValueError(f"an atom has at most {LONGEST_ATOM} characters, not {len(name)}")
    data = name.encode()
    if len(data) < 256:
        return struct.pack(">BB", SMALL_ATOM_UTF8, len(data)) + data
    return struct.pack(">BH", ATOM_UTF8, len(data)) + data


def _integer(value: int) -> bytes:
    if 0 <= value < 256:
        return struct.pack(">BB", SMALL_INTEGER, value)
    if -(1 << 31) <= value < 1 << 31:
        return struct.pack(">Bi", INTEGER, value)
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    head = struct.pack(">BB", SMALL_BIG, size) if size < 256 else struct.pack(">BI", LARGE_BIG, size)
    return head + bytes([value < 0]) + magnitude.to_bytes(size, "little")


def decode(data: bytes | bytearray | memoryview) -> Any:
    """The one term that the bytes hold. Raises `DecodeError` on anything else.

    What it allocates is bounded by the number of bytes, never by a length that they claim.
    """
    decoder = _Decoder(bytes(data))
    if decoder.byte() != VERSION:
        raise DecodeError("not a term: it does not begin with the format's version, 131")
    term = decoder.term(DEEPEST)
    if decoder.left():
        raise DecodeError(f"{decoder.left()} bytes follow the term")
    return term


class _Decoder:
    """Reads terms off bytes, in one direction."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def left(self) -> int:
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        start, self._position = self._position, self._position + size
        if self._position > len(self._data):
            raise DecodeError("the term is cut short")
        return self._data[start : self._position]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def count(self, smallest: int) -> int:
        """How many elements follow, each of at least `smallest` bytes."""
        count = self.number(4)
        if count * smallest > self.left():
            raise DecodeError("the term is cut short")
        return count

    def term(self, depth: int) -> Any:
        tag = self.byte()
        if tag in _LEAVES:
            return _LEAVES[tag](self)
        if tag not in (LIST, MAP):
            raise DecodeError(f"a term of the kind {tag} has no place in a header")
        if depth == 0:
            raise DecodeError(f"the term is nested more than {DEEPEST} levels deep")
        return self._list(depth - 1) if tag == LIST else self._map(depth - 1)

    def _list(self, depth: int) -> list[Any]:
        items = [self.term(depth) for _ in range(self.count(smallest=1))]
        if self.byte() != NIL:
            raise DecodeError("a list does not end properly")
        return items

    def _map(self, depth: int) -> dict[str, Any]:
        count = self.count(smallest=3)
        entries = {self._key(): self.term(depth) for _ in range(count)}
        if len(entries) < count:
            raise DecodeError("a map has the same key twice")
        return entries

    def _key(self) -> str:
        tag = self.byte()
        if tag not in _ATOMS:
            raise DecodeError("a map has a key that is not an atom")
        return str(self.atom_name(tag))

    def atom_name(self, tag: int) -> str:
        size, encoding = _ATOMS[tag]
        try:
            name = self.take(self.number(size)).decode(encoding)
        except UnicodeDecodeError as error:
            raise DecodeError(f"an atom is not {encoding}") from error
        if len(name) > LONGEST_ATOM:
            raise DecodeError(f"an atom has more than {LONGEST_ATOM} characters")
        return name

    def atom(self, tag: int) -> object:
        name = self.atom_name(tag)
        return _CONSTANTS[name] if name in _CONSTANTS else Atom(name)

    def float(self) -> float:
        (value,) = struct.unpack(">d", self.take(8))
        if not math.isfinite(value):
            raise DecodeError("a float is not finite")
        return float(value)

    def big(self, size: int) -> int:
        length, sign = self.number(size), self.byte()
        if sign > 1:
            raise DecodeError("an integer's sign is neither 0 nor 1")
        magnitude = int.from_bytes(self.take(length), "little")
        return -magnitude if sign else magnitude


# Of each encoding of atoms: the bytes that hold the length, and what the name is written in.
_ATOMS = {
    ATOM: (2, "latin-1"),
    SMALL_ATOM: (1, "latin-1"),
    ATOM_UTF8: (2, "utf-8"),
    SMALL_ATOM_UTF8: (1, "utf-8"),
}

_LEAVES: dict[int, Callable[[_Decoder], object]] = {
    SMALL_INTEGER: _Decoder.byte,
    INTEGER: lambda decoder: struct.unpack(">i", decoder.take(4))[0],
    SMALL_BIG: lambda decoder: decoder.big(1),
    LARGE_BIG: lambda decoder: decoder.big(4),
    NEW_FLOAT: _Decoder.float,
    ATOM: lambda decoder: decoder.atom(ATOM),
    SMALL_ATOM: lambda decoder: decoder.atom(SMALL_ATOM),
    ATOM_UTF8: lambda decoder: decoder.atom(ATOM_UTF8),
    SMALL_ATOM_UTF8: lambda decoder: decoder.atom(SMALL_ATOM_UTF8),
    BINARY: lambda decoder: decoder.take(decoder.number(4)),
    NIL: lambda decoder: [],
    STRING: lambda decoder: list(decoder.take(decoder.number(2))),
}
