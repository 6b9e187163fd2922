from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from letters_contract import Connect, Flush, LettersContract
from steps import assigned, generation, letter, step

from comporta.errors import UsageError
from comporta.letters import from_text, to_text
from comporta.letters.sqlite import SQLiteLetters
from comporta.payloads import Letter
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
