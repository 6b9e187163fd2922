from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from steps import assigned, generation, letter, step

from comporta import dead
from comporta.errors import UsageError
from comporta.letters import LetterStore, open_letters
from comporta.payloads import UNKNOWN_LENGTH
from comporta.sinks import Sink, open_sink


@dataclass
class Store:
    sink: Sink
    letters: LetterStore
    generation: str

    def replayed(self) -> list[int]:
        """Offsets of the letters in the replay log."""
        return [letter["offset"] for _, letter in self.letters.replay_after(0, 100)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Letters: one was replayed and has failed again, one is only the beginning of its record, and one of a
    record that was never decoded.
    """
    url = f"sqlite:{tmp_path}/store.db"
    sink = open_sink(url, create=True)
    sink.install(new := generation(), instead_of=None)
    one, replay = sink.open(new.id, [assigned("file-1"), assigned("replay")])
    unknown = letter(40, value=b"undecodable", length=UNKNOWN_LENGTH)
    letters = [letter(10), letter(20), letter(30, length=5_000_000), unknown]
    again = step(replay, 2, letters=[letter(10, attempt=1)], replayed=[("file-1", 10, 0)])
    assert sink.flush(new.id, [step(one, 50, letters=letters), again]) == [True, True]
    return Store(sink, open_letters(url, new.id), new.id)


def test_letters_are_listed_with_whether_their_replay_took_effect(store: Store) -> None:
    listed = dead.listed(store.letters, store.sink, store.generation)
    assert [(letter["offset"], letter["attempt"], done) for letter, done in listed] == [
        (10, 0, True),
        (10, 1, False),
        (20, 0, False),
        (30, 0, False),
        (40, 0, False),
    ]


def test_a_letter_is_found_by_its_id(store: Store) -> None:
    assert dead.find(store.letters, "file-1:10:1") == letter(10, attempt=1)
    with pytest.raises(UsageError, match="no dead letter 'file-1:10:2'"):
        dead.find(store.letters, "file-1:10:2")


def test_all_that_can_be_replayed_and_have_not_been_are_replayed(store: Store) -> None:
    chosen = dead.replay(store.letters, store.sink, store.generation)
    assert chosen == [("file-1", 10, 1), ("file-1", 20, 0)]
    assert store.replayed() == [10, 20]


def test_chosen_letters_are_replayed_even_again(store: Store) -> None:
    chosen = dead.replay(store.letters, store.sink, store.generation, ["file-1:20:0", "file-1:10:0"])
    assert chosen == [("file-1", 20, 0), ("file-1", 10, 0)]
    assert store.replayed() == [20, 10]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file-1:99:0", "no dead letter"),
        ("nonsense", "PARTITION:OFFSET:ATTEMPT"),
        ("file-1:30:0", "its record has 5000000 bytes, of which the first 7 were kept"),
        ("file-1:40:0", "its record was never decoded; `comporta reset` processes the topic again"),
    ],
)
def test_where_one_cannot_be_replayed_none_is(store: Store, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        dead.replay(store.letters, store.sink, store.generation, ["file-1:20:0", text])
    assert store.replayed() == []
