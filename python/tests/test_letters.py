from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from letters_contract import Connect, Flush, LettersContract
from steps import assigned, generation, letter, step

from comporta.errors import UsageError
from comporta.letters import from_text, is_whole, to_text
from comporta.letters.sqlite import SQLiteLetters
from comporta.letters.wire import from_message, to_message
from comporta.payloads import UNKNOWN_LENGTH, Letter
from comporta.sinks import open_sink


class TestSQLiteLetters(LettersContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:{tmp_path}/store.db"

    @pytest.fixture
    def flush(self, url: str) -> Flush:
        sink = open_sink(url, create=True)
        for pipeline in ("another", "access-log"):
            current = generation(name=pipeline)
            sink.install(current, instead_of=None)
            sink.open(current.id, [assigned("file-1")])

        def flush(letters: Sequence[Letter]) -> None:
            (last,) = sink.checkpoints(current.id)
            assert sink.flush(current.id, [step(last, last.upto + 100, letters=letters)]) == [True]

        return flush

    @pytest.fixture
    def connect(self, url: str) -> Connect:
        return lambda: letters_of(url, "access-log")

    def test_large_letters_are_kept_whole(self, flush: Flush, connect: Connect) -> None:
        large = letter(5, value=b"v" * 2_000_000, length=2_000_000)
        flush([large])
        assert list(connect().letters()) == [large]

    def test_pipelines_have_letters_of_their_own(self, flush: Flush, url: str) -> None:
        flush([letter(3)])
        letters_of(url, "access-log").replay([("file-1", 3, 0)])
        other = letters_of(url, "another")
        assert list(other.letters()) == other.replay_after(0, 9) == []
        assert other.find(("file-1", 3, 0)) is None


def letters_of(url: str, pipeline: str) -> SQLiteLetters:
    current = open_sink(url, create=False).current(pipeline)
    assert current is not None
    return SQLiteLetters(url, current.id)


def test_an_identity_is_written_as_people_read_it() -> None:
    assert to_text(("stdin-1", 70, 2)) == "stdin-1:70:2"
    assert from_text("stdin-1:70:2") == ("stdin-1", 70, 2)
    assert from_text("topic:with:colons/1:70:2") == ("topic:with:colons/1", 70, 2)


@pytest.mark.parametrize("text", ["", "file-1", "file-1:70", "file-1:70:x", "file-1:x:0"])
def test_what_is_no_identity_is_refused_in_words(text: str) -> None:
    with pytest.raises(UsageError, match="PARTITION:OFFSET:ATTEMPT"):
        from_text(text)


@pytest.mark.parametrize(
    ("value", "length", "expected"),
    [
        (b"whole", 5, True),
        (b"", 0, True),
        (None, 0, True),
        (b"beginning", 5_000_000, False),
        (b"", 5_000_000, False),
        (None, 5_000_000, False),
        (b"", UNKNOWN_LENGTH, False),
        (None, UNKNOWN_LENGTH, False),
    ],
)
def test_a_letter_is_whole_if_it_has_all_of_its_record(
    value: bytes | None, length: int, expected: bool
) -> None:
    assert is_whole(letter(1, value=value, length=length)) is expected


@pytest.mark.parametrize("value", [b"short", b"", None])
@pytest.mark.parametrize("parts", [{"key": b"k" * 5_000}, {"headers": [("name", b"h" * 5_000)]}])
def test_one_that_lost_a_huge_key_or_header_is_not_whole(value: bytes | None, parts: dict[str, Any]) -> None:
    whole = letter(1, value=value, length=len(value or b""), **parts)
    assert is_whole(whole)
    found = from_message(*to_message(whole, "pipeline", "generation", 2_000))
    assert found
    assert not is_whole(found[2])
