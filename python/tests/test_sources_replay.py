from __future__ import annotations

from collections.abc import Sequence

import pytest
from source_contract import SourceContract, begin, read_all
from steps import letter

from comporta import payloads
from comporta.letters import LetterId, LetterStore, identity
from comporta.payloads import Letter
from comporta.sources import Batch, Source, replay
from comporta.sources.replay import Replay


class Log(LetterStore):
    """A replay log in memory, whose sequence numbers have gaps, as another pipeline's letters make them."""

    def __init__(self, letters: Sequence[Letter] = ()) -> None:
        self.entries: list[tuple[int, Letter]] = []
        for each in letters:
            self.append(each)

    def append(self, letter: Letter) -> None:
        self.entries.append((3 * len(self.entries) + 2, letter))

    def letters(self) -> None: ...  # type: ignore[override]

    def find(self, identity: LetterId) -> None: ...

    def replay(self, identities: Sequence[LetterId]) -> None: ...

    def replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        return [entry for entry in self.entries if entry[0] > sequence][:limit]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "LOOK_EVERY", 0.0)


class TestReplay(SourceContract):
    def make(self, records: Sequence[bytes], until_end: bool) -> Source:
        letters = [letter(offset, value=value, length=len(value)) for offset, value in enumerate(records)]
        return Replay(Log(letters), until_end)

    def values(self, batch: Batch) -> list[bytes]:
        return [record["value"] for record in payloads.unpack(batch.payload)]


def test_a_letter_is_replayed_as_the_record_that_it_was_made_of() -> None:
    whole = letter(
        7,
        attempt=2,
        key=b"\0",
        headers=[("name", b"\xff"), ("name", None)],
        timestamp=5,
        value=b"x",
        length=1,
    )
    source = Replay(Log([whole]), False)
    begin(source)
    [batch] = read_all(source)
    assert (batch.format, batch.partition, batch.shown, batch.replay) == (
        "records",
        "replay",
        "replay",
        identity(whole),
    )
    [record] = payloads.unpack(batch.payload)
    assert batch.first <= record["offset"] < batch.next
    assert (record["partition"], record["shown"], record["source_offset"]) == ("file-1", whole["shown"], 7)
    assert (record["value"], record["key"], record["timestamp"]) == (b"x", b"\0", 5)
    assert [tuple(header) for header in record["headers"]] == whole["headers"]


def test_a_letter_of_a_tombstone_is_replayed() -> None:
    source = Replay(Log([letter(1, value=None, length=0)]), False)
    begin(source)
    [batch] = read_all(source)
    assert payloads.unpack(batch.payload)[0]["value"] is None


def test_letters_are_noticed_as_they_are_appended() -> None:
    log = Log()
    source = Replay(log, False)
    begin(source)
    assert read_all(source) == []
    log.append(letter(1))
    assert len(read_all(source)) == 1


def test_the_end_is_where_the_log_ended_at_the_start() -> None:
    log = Log([letter(1)])
    source = Replay(log, True)
    begin(source)
    log.append(letter(2))
    assert len(read_all(source)) == 1
    assert source.ends() == [("replay", 3)]


def test_a_letter_that_is_not_whole_is_passed_over_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = [
        letter(5, value=b"x", length=9),
        letter(6, value=None, length=9),
        letter(7, value=None, length=-1),
    ]
    source = Replay(Log([letter(1), *parts, letter(2)]), True)
    begin(source)
    batches = read_all(source)
    assert [batch.replay and batch.replay[1] for batch in batches] == [1, 2]
    for offset in (5, 6, 7):
        assert f"file-1:{offset}:0 is not replayed" in caplog.text
    assert source.ends() == [("replay", batches[-1].next)]


def test_an_end_behind_a_letter_that_is_passed_over_is_reached() -> None:
    source = Replay(Log([letter(1), letter(5, value=b"x", length=9)]), True)
    begin(source)
    batches = read_all(source)
    assert source.ends() == [("replay", batches[-1].next)]
