from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from steps import letter

from comporta.letters.wire import HEADERS, from_message, size, to_message
from comporta.payloads import Letter

INTEGERS = st.integers(-(2**63), 2**63 - 1)
CONTENTS = st.none() | st.binary(max_size=300)
LETTERS = st.fixed_dictionaries(
    {
        "partition": st.sampled_from(["file-1", "access/0", "a.b-c/12"]),
        "shown": st.text(max_size=300),
        "offset": st.integers(0, 2**63 - 1),
        "next": INTEGERS,
        "attempt": st.integers(0, 1000),
        "reason": st.sampled_from(["exception", "oversized"]),
        "error": st.text(max_size=300),
        "traceback": st.none() | st.text(max_size=3000),
        "value": st.none() | st.binary(max_size=3000),
        "length": INTEGERS,
        "key": CONTENTS,
        "headers": st.lists(
            st.tuples(st.sampled_from(HEADERS) | st.text(max_size=100), CONTENTS), max_size=20
        ),
        "timestamp": st.none() | INTEGERS,
        "at": INTEGERS,
        "code": st.sampled_from(["", "0123456789abcdef"]),
    }
)


@given(LETTERS)
def test_a_letter_comes_back_as_it_went_in(letter: Letter) -> None:
    assert from_message(*to_message(letter, "access-log", "g-1")) == ("access-log", "g-1", letter)


@given(LETTERS, st.integers(1_500, 5_000))
def test_a_letter_is_shortened_until_it_fits(letter: Letter, limit: int) -> None:
    letter["length"] = len(letter["value"] or b"")
    message = to_message(letter, "access-log", "g-1", limit)
    assert size(message) <= limit
    found = from_message(*message)
    assert found
    kept = found[2]
    whole = all(kept[part] == letter[part] for part in ("value", "key", "headers"))  # type: ignore[literal-required]
    assert whole == (len(kept["value"] or b"") == kept["length"])
    if size(to_message(letter, "access-log", "g-1")) <= limit:
        assert kept == letter


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.sampled_from(HEADERS) | st.text(), st.none() | st.binary())),
)
def test_what_is_no_letter_is_none(key: Any, value: Any, headers: Any) -> None:
    assert from_message(key, value, headers) is None


@given(LETTERS, st.integers(0, len(HEADERS) - 1), st.none() | st.binary())
def test_a_header_that_is_damaged_never_raises(letter: Letter, index: int, content: Any) -> None:
    key, value, headers = to_message(letter, "access-log", "g-1")
    headers[index] = headers[index][0], content
    from_message(key, value, headers)


def test_a_long_traceback_goes_before_the_value() -> None:
    long = letter(3, traceback="t" * 90_000, value=b"v" * 50_000, length=50_000)
    found = from_message(*to_message(long, "p", "g", 100_000))
    assert found
    assert found[2]["value"] == long["value"]
    assert 32 << 10 <= len(found[2]["traceback"] or "") < 90_000


@pytest.mark.parametrize(("partition", "topic"), [("access/0", b"access"), ("file-1", None)])
def test_the_key_and_the_headers_tell_where_it_comes_from(partition: str, topic: bytes | None) -> None:
    key, _, headers = to_message(letter(12, partition=partition, attempt=1), "access-log", "g-1")
    assert key == f"g-1/{partition}:12:1".encode()
    assert dict(headers)["comporta.topic"] == topic
    assert tuple(name for name, _ in headers) == HEADERS
