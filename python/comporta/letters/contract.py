"""What dead letters are kept in: read by a `LetterStore`, and written by a `LetterWriter` or a sink itself.

A letter's identity is its source position and its attempt. Replaying one that fails again makes a letter of
the next attempt; replaying one twice is harmless, as the sink remembers which replays have taken effect.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence

from comporta.errors import UsageError
from comporta.payloads import Letter

LetterId = tuple[str, int, int]
"""A dead letter's identity within a generation: source partition, offset and attempt."""


class LetterStore(abc.ABC):
    """One generation's dead letters and its replay log; `python/tests/letters_contract.py` tests it."""

    @abc.abstractmethod
    def letters(self) -> Iterator[Letter]:
        """Every letter once, by source partition, offset and attempt."""

    @abc.abstractmethod
    def find(self, identity: LetterId) -> Letter | None:
        """The letter of that identity."""

    @abc.abstractmethod
    def replay(self, identities: Sequence[LetterId]) -> None:
        """Append these letters, all of which exist, to the replay log."""

    @abc.abstractmethod
    def replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        """The next entries of the replay log after `sequence` (0: all), with their sequences."""


class LetterWriter(abc.ABC):
    """Where a sink writes letters that it does not keep in tables of its own, once it has decided them."""

    @abc.abstractmethod
    def write(self, generation: str, letters: Sequence[Letter]) -> None:
        """Write letters, and wait until they are durable, however long that takes.

        Writing one again changes nothing for those who read. What is too large to be kept is shortened.
        """


def identity(letter: Letter) -> LetterId:
    """What tells this letter from all others of its generation."""
    return letter["partition"], letter["offset"], letter["attempt"]


def is_whole(letter: Letter) -> bool:
    """Whether the letter holds its whole record: of any other, a replay would count something else."""
    return len(letter["value"] or b"") == letter["length"]


def to_text(identity: LetterId) -> str:
    """How people write a letter's identity: `PARTITION:OFFSET:ATTEMPT`."""
    return ":".join(map(str, identity))


def from_text(text: str) -> LetterId:
    """The identity that people wrote. Raises `UsageError` where it is not one."""
    try:
        partition, offset, attempt = text.rsplit(":", 2)
        return partition, int(offset), int(attempt)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a dead letter's id; it is PARTITION:OFFSET:ATTEMPT, see `comporta dead list`"
        ) from None
