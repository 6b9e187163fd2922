from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from sink_contract import Connect, SinkContract
from steps import assigned, generation, letter, step

from comporta.letters import LetterWriter, open_letters
from comporta.payloads import Letter
from comporta.sinks import open_sink
from comporta.sinks.sqlite import LETTERS_AT_ONCE, SQLiteSink


class TestSQLiteSink(SinkContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: open_sink(f"sqlite:{tmp_path}/store.db", create=True)


class Killed(Exception):
    """What ends a process in the middle of a write."""


class Elsewhere(LetterWriter):
    """Keeps what is written, and fails before or after a write when it is told to."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Letter]] = []
        self.fails: str | None = None

    def write(self, generation: str, letters: Sequence[Letter]) -> None:
        if self.fails == "before":
            raise Killed
        self.written += [(generation, letter) for letter in letters]
        if self.fails == "after":
            raise Killed


class TestOutbox:
    """Letters of an SQLite sink that are kept elsewhere."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:{tmp_path}/store.db"

    @pytest.fixture
    def elsewhere(self) -> Elsewhere:
        return Elsewhere()

    @pytest.fixture
    def current(self, url: str) -> str:
        new = generation()
        assert open_sink(url, create=True).install(new, instead_of=None)
        return new.id

    def flush(self, url: str, elsewhere: Elsewhere, current: str, letters: Sequence[Letter]) -> None:
        sink = SQLiteSink(url, create=False, letter_writer=elsewhere)
        (last,) = sink.open(current, [assigned("file-1")])
        assert sink.flush(current, [step(last, last.upto + 1000, letters=letters)]) == [True]

    def test_letters_are_handed_over_and_not_kept(self, url: str, elsewhere: Elsewhere, current: str) -> None:
        letters = [letter(number, value=None) for number in range(LETTERS_AT_ONCE * 2 + 1)]
        self.flush(url, elsewhere, current, letters)
        assert sorted(each["offset"] for _, each in elsewhere.written) == list(range(len(letters)))
        assert elsewhere.written[0] == (current, letters[elsewhere.written[0][1]["offset"]])
        assert list(open_letters(url, current).letters()) == []

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_what_was_decided_is_handed_over_before_anything_else(
        self, url: str, elsewhere: Elsewhere, current: str, when: str
    ) -> None:
        elsewhere.fails = when
        with pytest.raises(Killed):
            self.flush(url, elsewhere, current, [letter(3), letter(4)])
        assert len(list(open_letters(url, current).letters())) == 2
        elsewhere.fails = None
        elsewhere.written.clear()
        (last,) = SQLiteSink(url, create=False, letter_writer=elsewhere).open(current, [assigned("file-1")])
        assert last.upto == 1000
        assert elsewhere.written == [(current, letter(3)), (current, letter(4))]
        assert list(open_letters(url, current).letters()) == []

    def test_what_was_not_decided_is_not_handed_over(
        self, url: str, elsewhere: Elsewhere, current: str
    ) -> None:
        sink = SQLiteSink(url, create=False, letter_writer=elsewhere)
        (last,) = sink.open(current, [assigned("file-1")])
        assert sink.flush(current, [step(last, 10)]) == [True]
        assert sink.flush(current, [step(last, 20, letters=[letter(3)])]) == [False]
        assert elsewhere.written == []
