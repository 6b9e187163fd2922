"""Lines that are cut natively are those that Python cuts."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta import arrow, native_records
from comporta.native import native
from comporta.native_records import NativeLines, lines_natively
from comporta.records import Batch, Failure, Lines

pytestmark = pytest.mark.skipif(native is None, reason="the package was built without a Rust compiler")

FAILURE = Failure("exception", "ValueError: no")
TEXTS = st.lists(st.sampled_from([b"", b"a", b"bc\r", b"\r", b"\n", b"\r\n", b"\0", b"line\n"])).map(b"".join)


def batch(text: bytes, base: int, first: int, next: int) -> Batch:
    return Batch("lines", "file-1", "logs/access.log", base, first, next, arrival_ms=1)


@given(TEXTS, st.integers(0, 2**62), st.integers(-1, 40), st.integers(-1, 40))
def test_lines_are_those_that_python_cuts(text: bytes, base: int, a: int, b: int) -> None:
    of = batch(text, base, base + min(a, b), base + max(a, b))
    made, expected = lines_natively(of, memoryview(text)), Lines(of, text)
    assert isinstance(made, NativeLines)
    assert list(made.each()) == list(made.values) == list(expected.values)
    assert list(made.offsets) == list(expected.offsets)
    assert list(made.ends) == list(expected.ends)
    assert (made.count, made.middle) == (expected.count, expected.middle)
    assert made.records() == expected.records()
    assert arrow.record_batch(made).equals(arrow.record_batch(expected))
    failures = dict.fromkeys(range(made.count), FAILURE)
    assert [{**letter, "at": 0} for letter in made.letters(failures)] == [
        {**letter, "at": 0} for letter in expected.letters(failures)
    ]


def test_values_are_made_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_records, "PART", 3)
    text = b"".join(b"%d\n" % number for number in range(10))
    made = lines_natively(batch(text, 0, 0, len(text)), text)
    assert made is not None
    assert list(made.each()) == text.splitlines()


def test_they_are_a_batch_of_arrow_without_pandas() -> None:
    code = """
import sys
from comporta import arrow, formats, records
batch = records.Batch("lines", "file-1", "a.log", 0, 0, 2, arrival_ms=1)
assert arrow.record_batch(formats.decode(batch, b"a\\n")).num_rows == 1
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
