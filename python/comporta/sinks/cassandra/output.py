"""Output rows: where they lie, and which slices of a source partition have any.

A Cassandra partition holds the rows of `SLICE` offsets of one source partition, so that none grows for ever
and rows are read in the order of the log. Of Kafka that are as many records; of a file, whose offsets are
positions in bytes, some hundred lines. A row is never written again with another value: its key is new, but
for a flush that is applied again.
"""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from cassandra.query import BoundStatement, Statement

from comporta import payloads
from comporta.payloads import OutputRows
from comporta.sinks.cassandra.generations import LONGEST_TTL, Facts
from comporta.sinks.cassandra.session import Session
from comporta.sinks.contract import OutputRow

SLICE = 10_000  # offsets
PAGE = 100  # rows that are read at once, each of up to 256 KiB
HOUR = 3600
FOR_EVER = 2**31  # seconds since 1970, later than anything can expire
MOST_KNOWN = 100_000  # slices that are remembered to be listed; listing one again does no harm
INSERT = (
    "INSERT INTO output_rows (generation, partition, slice, offset, row_index, row) VALUES (?, ?, ?, ?, ?, ?)"
    " USING TIMESTAMP ? AND TTL ?"
)

Place = tuple[str, str, int]
"""Generation, source partition and slice."""
Row = tuple[int, int, bytes, int]
"""Offset, index, text, and the seconds that it is kept."""

_bigint, _int = struct.Struct(">q").pack, struct.Struct(">i").pack


class Output:
    """The output rows of all generations of a keyspace."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Place, int] = {}  # slices that are listed, and until when

    def write(self, generation: str, facts: Facts, upto: int, batches: Iterable[bytes]) -> None:
        """Write rows with the timestamp `upto`, but for those whose time is past."""
        now = int(time.time())
        listed: dict[Place, int] = {}
        # In any order: a flush is not applied before all of it is there.
        self._session.execute_all(
            statement
            for packed in batches
            for statement in self._statements(generation, facts, upto, now, payloads.unpack(packed), listed)
        )
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update(listed)

    def _statements(
        self,
        generation: str,
        facts: Facts,
        upto: int,
        now: int,
        batch: OutputRows,
        listed: dict[Place, int],
    ) -> Iterator[Statement]:
        """Those that write a batch's rows, and list the slices that are not listed so long yet."""
        partition = batch["partition"]
        for slice, rows in _slices(facts, now, batch).items():
            place, end = (generation, partition, slice), _end(now, [ttl for *_, ttl in rows])
            if max(self._known.get(place, 0), listed.get(place, 0)) < end:
                listed[place] = end
                yield self._listing(place, now, end)
            yield from self._session.batched(self._inserts(generation, partition, slice, upto, rows))

    def _listing(self, place: Place, now: int, end: int) -> Statement:
        """What has readers know of a slice until `end`, which is the timestamp: the latest end stands."""
        return self._session.bind(
            "INSERT INTO output_slices (generation, partition, slice) VALUES (?, ?, ?)"
            " USING TIMESTAMP ? AND TTL ?",
            *(*place, end, 0 if end == FOR_EVER else min(end - now, LONGEST_TTL)),
        )

    def _inserts(
        self, generation: str, partition: str, slice: int, upto: int, rows: list[Row]
    ) -> Iterator[tuple[BoundStatement, int]]:
        """A statement for each row of one Cassandra partition, and its size."""
        insert = BoundStatement(self._session.prepare(INSERT))
        place = [generation.encode(), partition.encode(), _bigint(slice)]
        timestamp = _bigint(upto)
        for offset, index, text, ttl in rows:
            insert.values = [*place, _bigint(offset), _int(index), text, timestamp, _int(ttl)]
            yield insert, len(text)

    def all(self, generation: str, partitions: Iterable[str]) -> Iterator[OutputRow]:
        """The rows of partitions, one partition after another, by offset and index."""
        for partition in partitions:
            for slice in self._listed(generation, partition):
                select = self._session.bind(
                    "SELECT offset, row_index, row FROM output_rows"
                    " WHERE generation = ? AND partition = ? AND slice = ?",
                    *(generation, partition, slice),
                    page=PAGE,
                )
                for rows in self._session.pages(select):
                    for offset, index, row in rows:
                        yield OutputRow(partition, offset, index, row)

    def _listed(self, generation: str, partition: str) -> Iterator[int]:
        select = self._session.bind(
            "SELECT slice FROM output_slices WHERE generation = ? AND partition = ?", generation, partition
        )
        for rows in self._session.pages(select):
            for row in rows:
                yield row.slice

    def delete(self, generation: str, partitions: Iterable[str]) -> None:
        """Delete all rows of a generation's partitions."""
        for partition in partitions:
            self._session.run_all(
                "DELETE FROM output_rows WHERE generation = ? AND partition = ? AND slice = ?",
                ((generation, partition, slice) for slice in self._listed(generation, partition)),
            )
            self._session.run(
                "DELETE FROM output_slices WHERE generation = ? AND partition = ?", generation, partition
            )
        self._known = {place: end for place, end in self._known.items() if place[0] != generation}


def _slices(facts: Facts, now: int, batch: OutputRows) -> dict[int, list[Row]]:
    """The rows of a batch that are to be kept, by slice."""
    times: Sequence[int | None] = batch["times"] or [None] * len(batch["rows"])
    slices: dict[int, list[Row]] = defaultdict(list)
    for offset, index, at, row in zip(batch["offsets"], batch["indexes"], times, batch["rows"], strict=True):
        ttl = facts.row_ttl(at, now)
        if ttl is not None:
            slices[offset // SLICE].append((offset, index, row.encode(), ttl))
    return slices


def _end(now: int, ttls: Sequence[int]) -> int:
    """Until when a slice of rows that are kept so long is listed: rounded up, so that it rarely changes."""
    return FOR_EVER if 0 in ttls else -(-(now + max(ttls)) // HOUR) * HOUR
