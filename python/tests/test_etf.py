"""Terms agree with Erlang's own bytes, and hostile ones end in `DecodeError`, at no cost.

That the codec agrees with a real BEAM, on thousands of terms, is tested from there.
"""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta import etf
from comporta.etf import Atom, DecodeError, decode, encode

names = st.text(st.characters(codec="utf-8"), max_size=20)
atoms = names.map(Atom).filter(lambda atom: atom not in ("nil", "true", "false"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(1 << 4000), 1 << 4000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary(max_size=300)
    | atoms
)
terms = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(names, inner, max_size=6),
    max_leaves=30,
)


def typed(term: Any) -> Any:
    """The term with all told apart that `==` does not: 1, True and 1.0, atoms and text, 0.0 and -0.0."""
    if isinstance(term, list):
        return [typed(item) for item in term]
    if isinstance(term, dict):
        return {key: typed(value) for key, value in term.items()}
    return type(term), repr(term)


def frame(*parts: bytes | int) -> bytes:
    return bytes([etf.VERSION]) + b"".join(bytes([part]) if isinstance(part, int) else part for part in parts)


@given(terms)
def test_a_term_comes_back_as_it_was(term: Any) -> None:
    assert typed(decode(encode(term))) == typed(term)


@pytest.mark.parametrize(
    ("term", "data"),
    [  # as erlang:term_to_binary/1 gives them
        (7, "836107"),
        (-1, "8362ffffffff"),
        (1 << 31, "836e040000000080"),
        (-(1 << 64), "836e0901000000000000000001"),
        (1.5, "83463ff8000000000000"),
        (b"ab", "836d000000026162"),
        ([1, []], "836c0000000261016a6a"),
        ([], "836a"),
        ({"id": 0}, "8374000000017702696461" + "00"),
        (None, "8377036e696c"),
        (True, "83770474727565"),
        (Atom("日"), "837703e697a5"),
    ],
)
def test_the_bytes_are_erlangs(term: Any, data: str) -> None:
    assert encode(term).hex() == data
    assert typed(decode(bytes.fromhex(data))) == typed(term)


@pytest.mark.parametrize(
    ("data", "term"),
    [
        (frame(etf.ATOM, struct.pack(">H", 4), b"na\xefv"), Atom("naïv")),
        (frame(etf.SMALL_ATOM, 4, b"na\xefv"), Atom("naïv")),
        (frame(etf.ATOM_UTF8, struct.pack(">H", 5), "naïv".encode()), Atom("naïv")),
        (frame(etf.SMALL_ATOM_UTF8, 5, "naïv".encode()), Atom("naïv")),
        (frame(etf.ATOM, struct.pack(">H", 3), b"nil"), None),
        (frame(etf.SMALL_ATOM, 4, b"true"), True),
        (frame(etf.STRING, struct.pack(">H", 3), b"\x00\x01\xff"), [0, 1, 255]),
        (frame(etf.LARGE_BIG, struct.pack(">I", 2), 1, b"\x01\x01"), -257),
    ],
)
def test_what_erlang_may_send_otherwise_is_understood(data: bytes, term: Any) -> None:
    assert typed(decode(data)) == typed(term)


def test_text_and_tuples_are_sent_as_what_is_nearest() -> None:
    assert decode(encode("no \udcff such file")) == b"no \\udcff such file"
    assert decode(encode({"file": "é.py", "ends": [("p", 1)]})) == {
        "file": "é.py".encode(),
        "ends": [[b"p", 1]],
    }


def test_an_atom_of_any_length_that_erlang_has() -> None:
    for name in ("", "x" * 255, "語" * 255):
        assert decode(encode(Atom(name))) == name
    with pytest.raises(ValueError, match="at most 255 characters"):
        encode(Atom("x" * 256))
    with pytest.raises(DecodeError):
        decode(frame(etf.ATOM_UTF8, struct.pack(">H", 256), b"x" * 256))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_floats_that_erlang_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        encode({"name": value})
    with pytest.raises(DecodeError, match="finite"):
        decode(frame(etf.NEW_FLOAT, struct.pack(">d", value)))


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j, range(3), bytearray(b"x"), {1: 2}, {b"key": 2}])
def test_types_that_headers_do_not_have_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        encode([value])


def test_depth_is_bounded_both_ways() -> None:
    term: Any = 1
    for _ in range(etf.DEEPEST):
        term = [term]
    assert decode(encode(term)) == term
    with pytest.raises(ValueError, match="nested"):
        encode([term])
    with pytest.raises(ValueError, match="nested"):
        encode({"term": term})
    for deep in (frame(etf.LIST, b"\0\0\0\1") * 30_000, frame(b"\x74\0\0\0\1\x77\1a" * 30_000)):
        with pytest.raises(DecodeError):
            decode(deep)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_term_or_an_error(data: bytes) -> None:
    for candidate in (data, frame(data), frame(etf.MAP, b"\0\0\0\1\x77\1a", data)):
        with contextlib.suppress(DecodeError):
            decode(candidate)


@given(terms, st.data())
def test_what_is_cut_short_or_too_long_is_an_error(term: Any, data: st.DataObject) -> None:
    encoded = encode(term)
    with pytest.raises(DecodeError):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(DecodeError):
        decode(encoded + b"\0")


LENGTH = b"\x7f\xff\xff\xff"


@pytest.mark.parametrize(
    "data",
    [
        *[frame(tag, LENGTH) for tag in (etf.LIST, etf.MAP, etf.BINARY, etf.LARGE_BIG)],
        *[frame(tag, LENGTH, bytes(1000)) for tag in (etf.LIST, etf.MAP, etf.BINARY, etf.LARGE_BIG)],
        frame(etf.STRING, b"\xff\xff", b"short"),
    ],
)
def test_a_claimed_length_allocates_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x83",
        b"\x82\x61\x01",  # another version
        frame(80, b"\0\0\0\x10", b"x\x9cK\xca,\x02\0\x02\x8d\x01\x35"),  # compressed
        frame(104, 0),  # a tuple
        frame(88),  # a process id
        frame(99, b"1.50000000000000000000e+00\0\0\0\0\0"),  # a float of the old kind
        frame(etf.LIST, b"\0\0\0\1", 97, 1, 97, 2),  # an improper list
        frame(etf.MAP, b"\0\0\0\1", etf.BINARY, b"\0\0\0\1a", 97, 1),  # a key that is text
        frame(etf.MAP, b"\0\0\0\2", b"\x77\1a\x61\1" * 2),  # the same key twice
        frame(etf.SMALL_ATOM_UTF8, 1, b"\xff"),  # not UTF-8
        frame(etf.SMALL_BIG, 1, 2, 5),  # a sign that is none
    ],
)
def test_other_terms_have_no_place_in_a_header(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)
