"""The replay log as a source: dead letters that somebody asked to have counted after all, one record a
batch."""

from __future__ import annotations

import time

from comporta import payloads
from comporta.letters import LetterStore
from comporta.payloads import AssignedPartition, SourceRecord
from comporta.sources.contract import Source, SourceBatch

PARTITION = "replay"
LOOK_EVERY = 0.5  # seconds between two looks for new letters, when there were none
READ_AHEAD = 100


class Replay(Source):
    """The replay log of one generation. Offsets are its sequence numbers."""

    unit = "records"

    def __init__(self, letters: LetterStore, until_end: bool) -> None:
        self._letters = letters
        self._new = True
        self._assignment: int | None = None
        self._position = 0
        self._ahead: list[tuple[int, payloads.Letter]] = []
        self._look_at = 0.0
        self._reached = [(PARTITION, self._end())] if until_end else []

    def _end(self) -> int:
        end = 0
        while entries := self._letters.replay_after(end - 1, READ_AHEAD):
            end = entries[-1][0] + 1
        return end

    def discover(self) -> list[AssignedPartition]:
        new, self._new = self._new, False
        return [AssignedPartition(partition=PARTITION, shown=PARTITION, start=0, meta=b"")] if new else []

    def seek(self, partition: str, assignment: int, offset: int) -> None:
        self._assignment = assignment
        self._position = offset
        self._ahead = []
        self._look_at = 0.0

    def read(self) -> SourceBatch | None:
        if self._assignment is None:
            return None
        if not self._ahead and time.monotonic() >= self._look_at:
            self._ahead = self._letters.replay_after(self._position - 1, READ_AHEAD)[::-1]
            self._look_at = time.monotonic() + LOOK_EVERY
        if not self._ahead:
            return None
        sequence, letter = self._ahead.pop()
        if not self._ahead:
            self._look_at = 0.0
        first, self._position = self._position, sequence + 1
        record = SourceRecord(
            offset=sequence,
            value=letter["value"],
            key=letter["key"],
            timestamp=letter["timestamp"],
            headers=letter["headers"],
            partition=letter["partition"],
            shown=letter["shown"],
            source_offset=letter["offset"],
        )
        return SourceBatch(
            partition=PARTITION,
            shown=PARTITION,
            assignment=self._assignment,
            format="records",
            first=first,
            next=self._position,
            count=1,
            payload=payloads.pack([record]),
            replay=(letter["partition"], letter["offset"], letter["attempt"]),
        )

    def reached(self) -> list[tuple[str, int]]:
        reached, self._reached = self._reached, []
        return reached

    def ends(self) -> list[tuple[str, int]]:
        return []
