"""The replay log as a source: dead letters that `comporta dead replay` appended, each a batch of its own.

Its partition is read beside a source's own; its offsets are the sequence numbers of the log.
"""

from __future__ import annotations

import logging
import time
from collections import deque

from comporta import payloads
from comporta.letters import LetterStore, identity, is_whole, to_text
from comporta.payloads import AssignedPartition, Letter, SourceRecord
from comporta.sinks.contract import REPLAY
from comporta.sources.contract import Batch, Source

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.5  # seconds between two looks at a log that had nothing more
LETTERS_AT_ONCE = 16  # each of up to a MiB


class Replay(Source):
    """The letters of one generation that were appended to its replay log.

    One that lacks a part of its record is passed over.
    """

    def __init__(self, letters: LetterStore, until_end: bool) -> None:
        self._letters = letters
        self._until_end = until_end
        self._is_assigned = False
        self._position: int | None = None  # the next batch begins there
        self._end: int | None = None  # where the log ended at the start
        self._sequence = 0  # of the last letter that was fetched
        self._fetched: deque[tuple[int, Letter]] = deque()
        self._next_look = 0.0
        self._ends: list[tuple[str, int]] = []

    def discover(self) -> list[AssignedPartition]:
        if self._is_assigned:
            return []
        self._is_assigned = True
        return [AssignedPartition(partition=REPLAY, shown=REPLAY, start=0, meta=b"")]

    def is_listed(self) -> bool:
        return True

    def seek(self, partition: str, offset: int) -> None:
        self._start_at(offset)
        if self._until_end and self._end is None:
            self._end = offset
            while self._fetch():
                sequence, letter = self._fetched.popleft()
                if is_whole(letter):
                    self._end = sequence + 1
            self._ends.append((REPLAY, self._end))
            self._start_at(offset)

    def read(self) -> Batch | None:
        if self._position is None or (self._end is not None and self._position >= self._end):
            return None
        while self._fetch():
            sequence, letter = self._fetched.popleft()
            if is_whole(letter):
                batch = letter_batch(letter, sequence, self._position)
                self._position = batch.next
                return batch
            logger.warning("%s is not replayed: its letter is not whole", to_text(identity(letter)))
        return None

    def ends(self) -> list[tuple[str, int]]:
        ends, self._ends = self._ends, []
        return ends

    def _start_at(self, offset: int) -> None:
        self._position = offset
        self._sequence = offset - 1
        self._fetched.clear()
        self._next_look = 0.0

    def _fetch(self) -> bool:
        """Whether there is a letter, having looked for more."""
        if not self._fetched and time.monotonic() >= self._next_look:
            self._fetched.extend(self._letters.replay_after(self._sequence, LETTERS_AT_ONCE))
            if self._fetched:
                self._sequence = self._fetched[-1][0]
            else:
                self._next_look = time.monotonic() + LOOK_EVERY
        return bool(self._fetched)


def letter_batch(letter: Letter, offset: int, first: int) -> Batch:
    """A letter at `offset` of its replay log as a batch that begins at `first`."""
    record = SourceRecord(
        offset=offset,
        value=letter["value"],
        key=letter["key"],
        timestamp=letter["timestamp"],
        headers=letter["headers"],
        partition=letter["partition"],
        shown=letter["shown"],
        source_offset=letter["offset"],
    )
    return Batch(
        partition=REPLAY,
        shown=REPLAY,
        format="records",
        base=first,
        first=first,
        next=offset + 1,
        count=1,
        payload=payloads.pack([record]),
        replay=identity(letter),
    )
