"""What every store of dead letters must do: its test module subclasses `LettersContract`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from steps import letter

from comporta.letters import LetterStore, identity
from comporta.payloads import Letter

Flush = Callable[[Sequence[Letter]], None]
Connect = Callable[[], LetterStore]

WHOLE = letter(
    5,
    key=b"\x00key",
    headers=[("trace", b"\xff"), ("trace", None), ("", b"")],
    timestamp=1_700_000_000_123,
    value=b"\x00" * 900_000,
    length=5_000_000,
    traceback=None,
    reason="oversized",
)


class LettersContract:
    """The fixture `flush` has a sink flush letters, and `connect` opens the store that they end in."""

    def test_letters_come_back_as_they_went_in(self, flush: Flush, connect: Connect) -> None:
        flush([WHOLE, letter(7, value=None)])
        assert list(connect().letters()) == [WHOLE, letter(7, value=None)]

    def test_letters_are_listed_by_position_and_attempt(self, flush: Flush, connect: Connect) -> None:
        flush([letter(20), letter(3, attempt=1), letter(100, partition="file-0")])
        flush([letter(3), letter(3, partition="file-2")])
        listed = [identity(letter) for letter in connect().letters()]
        assert listed == [
            ("file-0", 100, 0),
            ("file-1", 3, 0),
            ("file-1", 3, 1),
            ("file-1", 20, 0),
            ("file-2", 3, 0),
        ]

    def test_a_letter_is_found_by_its_identity(self, flush: Flush, connect: Connect) -> None:
        flush([letter(3), letter(3, attempt=1)])
        assert connect().find(("file-1", 3, 1)) == letter(3, attempt=1)
        assert connect().find(("file-1", 3, 2)) is None

    def test_the_replay_log_keeps_the_order_of_appending(self, flush: Flush, connect: Connect) -> None:
        flush([letter(number) for number in range(5)])
        connect().replay([("file-1", 4, 0), ("file-1", 0, 0)])
        connect().replay([("file-1", 4, 0)])
        entries = connect().replay_after(0, 10)
        assert [letter["offset"] for _, letter in entries] == [4, 0, 4]
        assert entries[0][1] == letter(4)

    def test_the_replay_log_is_read_on_from_any_sequence(self, flush: Flush, connect: Connect) -> None:
        flush([letter(number) for number in range(5)])
        connect().replay([("file-1", number, 0) for number in range(5)])
        letters, read, sequence = connect(), [], 0
        while entries := letters.replay_after(sequence, 2):
            assert len(entries) <= 2
            assert entries[0][0] > sequence
            read += [letter["offset"] for _, letter in entries]
            sequence = entries[-1][0]
        assert read == [0, 1, 2, 3, 4]
        connect().replay([("file-1", 2, 0)])
        assert [letter["offset"] for _, letter in letters.replay_after(sequence, 2)] == [2]
