"""Rows of metrics: where they lie, how many are written in one request, how they are read.

A Cassandra partition holds the rows of one metric and one source partition whose buckets start within one
hour; those in the bucket 0, as all of a metric without `every` are, are spread by key over `SLOTS` of them.
So no Cassandra partition grows for ever, and a flush finds the rows that it changes side by side.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from itertools import groupby
from typing import Any

from cassandra.query import BoundStatement

from comporta.sinks.cassandra.generations import Facts
from comporta.sinks.cassandra.session import Session
from comporta.sinks.cassandra.values import COLUMNS, FORMS, decoded, encoded
from comporta.sinks.contract import Cell, RowsOfMetric

HOUR = 3600
SLOTS = 16
CELLS_OF_A_READ = {"top": 10, "quantiles": 100}
"""So that an answer is some MiB: by kind, as sketches are large."""
CELLS_OF_ANY_READ = 200
MOST_KNOWN = 100_000  # spans that are remembered to be listed; listing one again does no harm
EPOCH = datetime(1970, 1, 1)

Row = tuple[int, str, Any]
"""Bucket, key and packed state."""

RowsOfBucket = tuple[int, Mapping[str, Any]]
"""A bucket, and packed states by key."""

_bigint, _int = struct.Struct(">q").pack, struct.Struct(">i").pack


def span_of(bucket: int, key: str) -> int:
    """The span, in milliseconds since 1970, that a row lies in."""
    if bucket:
        return (bucket - bucket % HOUR) * 1000
    return zlib.crc32(key.encode()) % SLOTS


class Rows:
    """The rows of all generations of a keyspace."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: set[tuple[str, str, str, int]] = set()  # spans that are listed

    def write(
        self,
        generation: str,
        facts: Facts,
        partition: str,
        upto: int,
        rows: Mapping[str, RowsOfMetric],
    ) -> None:
        """Write whole values with the timestamp `upto`, but for those whose time is past."""
        now = int(time.time())
        spans: dict[tuple[str, int], list[RowsOfBucket]] = defaultdict(list)
        for metric, buckets in rows.items():
            for bucket, states in buckets.items():
                if facts.ttl(metric, bucket, now) is not None:
                    for span, some in _by_span(bucket, states):
                        spans[metric, span].append((bucket, some))
        self._list(generation, facts, partition, upto, spans, now)
        self._session.execute_all(
            batch
            for (metric, span), found in spans.items()
            for batch in self._session.batched(
                self._inserts_of(generation, facts, metric, partition, span, upto, now, found)
            )
        )

    def _list(
        self,
        generation: str,
        facts: Facts,
        partition: str,
        upto: int,
        spans: Iterable[tuple[str, int]],
        now: int,
    ) -> None:
        """Have readers know of the spans."""
        places = [(generation, metric, partition, span) for metric, span in spans]
        new = [place for place in places if place not in self._known]
        self._session.run_all(
            "INSERT INTO spans (generation, metric, span, partition) VALUES (?, ?, ?, ?)"
            " USING TIMESTAMP ? AND TTL ?",
            (
                (generation, metric, span, partition, upto, facts.ttl(metric, span // 1000 + HOUR, now))
                for _, metric, _, span in new
            ),
        )
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update(new)

    def _inserts_of(
        self,
        generation: str,
        facts: Facts,
        metric: str,
        partition: str,
        span: int,
        upto: int,
        now: int,
        buckets: list[RowsOfBucket],
    ) -> Iterator[tuple[BoundStatement, int]]:
        """A statement for each row of one Cassandra partition, and its size."""
        place = [generation.encode(), metric.encode(), partition.encode(), _bigint(span)]
        timestamp = _bigint(upto)
        inserts = {form: BoundStatement(prepared) for form, prepared in self._inserts.items()}
        for bucket, states in buckets:
            start, ttl = _bigint(bucket * 1000), _int(facts.ttl(metric, bucket, now) or 0)
            for key, state in states.items():
                form, columns = encoded(state)
                insert, text = inserts[form], key.encode()
                insert.values = [*place, start, text, *columns, timestamp, ttl]
                yield insert, len(text) + sum(map(len, columns))

    def read(
        self, generation: str, facts: Facts, partition: str, metric: str, cells: Sequence[Cell]
    ) -> dict[Cell, Any]:
        """The packed states of those cells that have a row."""
        most = _at_once(facts, metric)
        spans: dict[int, list[Cell]] = defaultdict(list)
        for cell in cells:
            spans[span_of(*cell)].append(cell)
        selects = (
            self._session.bind(
                f"SELECT bucket, key, {', '.join(COLUMNS)} FROM metrics WHERE generation = ? AND metric = ?"
                " AND partition = ? AND span = ? AND (bucket, key) IN ?",
                *(generation, metric, partition, span),
                [(bucket * 1000, key) for bucket, key in some[first : first + most]],
            )
            for span, some in spans.items()
            for first in range(0, len(some), most)
        )
        return {
            (bucket, key): state
            for answer in self._session.stream(selects)
            for bucket, key, state in map(_row, answer)
        }

    def all(
        self, generation: str, facts: Facts, metric: str, since: int | None, until: int | None
    ) -> Iterator[Row]:
        """All partitions' rows whose bucket starts in [since, until), by bucket."""
        listed = self._session.run(
            "SELECT span, partition FROM spans WHERE generation = ? AND metric = ?", generation, metric
        )
        spans = [(_milliseconds(span), partition) for span, partition in listed]
        wanted = [
            (span, partition)
            for span, partition in spans
            if (since is None or span >= (since - since % HOUR) * 1000)
            and (until is None or span < until * 1000)
        ]
        selects = (
            self._session.bind(
                f"SELECT bucket, key, {', '.join(COLUMNS)} FROM metrics"
                " WHERE generation = ? AND metric = ? AND partition = ? AND span = ?",
                *(generation, metric, partition, span),
                page=10 * _at_once(facts, metric),
            )
            for span, partition in wanted
        )
        answers = zip(wanted, self._session.stream(selects), strict=True)
        for _, same_hour in groupby(answers, key=lambda answer: answer[0][0] // (HOUR * 1000)):
            rows = [_row(row) for _, answer in same_hour for row in answer]
            rows.sort(key=lambda row: row[0])
            yield from (
                row
                for row in rows
                if (since is None or row[0] >= since) and (until is None or row[0] < until)
            )

    def delete(self, generation: str, metrics: Iterable[str]) -> None:
        """Delete all of a generation's rows of these metrics."""
        for metric in metrics:
            listed = self._session.run(
                "SELECT span, partition FROM spans WHERE generation = ? AND metric = ?", generation, metric
            )
            self._session.run_all(
                "DELETE FROM metrics WHERE generation = ? AND metric = ? AND partition = ? AND span = ?",
                ((generation, metric, partition, _milliseconds(span)) for span, partition in listed),
            )
            self._session.run("DELETE FROM spans WHERE generation = ? AND metric = ?", generation, metric)
        self._known = {place for place in self._known if place[0] != generation}

    @cached_property
    def _inserts(self) -> dict[str, Any]:
        """The statement that writes a state of each form."""
        return {
            form: self._session.prepare(
                "INSERT INTO metrics (generation, metric, partition, span, bucket, key,"
                f" {', '.join(columns)}, form)"
                f" VALUES (?, ?, ?, ?, ?, ?, {', '.join('?' * len(columns))}, '{form}')"
                " USING TIMESTAMP ? AND TTL ?"
            )
            for form, columns in FORMS.items()
        }


def _by_span(bucket: int, states: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a bucket by the span that they lie in."""
    if bucket:
        yield span_of(bucket, ""), states
        return
    slots: dict[int, dict[str, Any]] = defaultdict(dict)
    for key, state in states.items():
        slots[span_of(bucket, key)][key] = state
    yield from slots.items()


def _at_once(facts: Facts, metric: str) -> int:
    return CELLS_OF_A_READ.get(facts.kinds.get(metric, ""), CELLS_OF_ANY_READ)


def _row(row: Sequence[Any]) -> Row:
    bucket, key, *columns = row
    return _milliseconds(bucket) // 1000, key, decoded(*columns)


def _milliseconds(time: datetime) -> int:
    difference = time - EPOCH
    return (difference.days * 86400 + difference.seconds) * 1000 + difference.microseconds // 1000
