"""Which letters' replays have taken effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from comporta.letters import LetterId
from comporta.sinks.cassandra.session import Session

SLOTS = 64  # Cassandra partitions that the letters of one source partition are spread over


class Replayed:
    """The replayed letters of all generations of a keyspace."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def write(self, generation: str, letters: Iterable[LetterId]) -> None:
        """Remember letters."""
        self._session.run_all(
            "INSERT INTO replayed (generation, partition, slot, offset, attempt) VALUES (?, ?, ?, ?, ?)"
            " USING TIMESTAMP 1",
            (_place(generation, letter) for letter in letters),
        )

    def among(self, generation: str, letters: Sequence[LetterId]) -> set[LetterId]:
        """Those among `letters` that are remembered."""
        found = self._session.stream(
            self._session.bind(
                "SELECT attempt FROM replayed"
                " WHERE generation = ? AND partition = ? AND slot = ? AND offset = ? AND attempt = ?",
                *_place(generation, letter),
            )
            for letter in letters
        )
        return {letter for letter, answer in zip(letters, found, strict=True) if answer}

    def delete(self, generation: str, partitions: Iterable[str]) -> None:
        """Forget all letters of a generation's partitions."""
        self._session.run_all(
            "DELETE FROM replayed WHERE generation = ? AND partition = ? AND slot = ?",
            ((generation, partition, slot) for partition in partitions for slot in range(SLOTS)),
        )


def _place(generation: str, letter: LetterId) -> tuple[str, str, int, int, int]:
    partition, offset, attempt = letter
    return generation, partition, offset % SLOTS, offset, attempt
