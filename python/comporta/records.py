"""Records: what a batch of bytes holds, decoded as far as a transform needs.

A record belongs to a batch's range [first, next) if its own offset does. So a batch is narrowed, to find the
record that does harm, by a range alone.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Literal, NamedTuple

from comporta.buffers import Buffers
from comporta.event_time import is_time, to_datetime
from comporta.payloads import UNKNOWN_LENGTH, Letter, LongRecord, unpack

LONGEST_VALUE = 1024 * 1024
"""Bytes of a record's value that a dead letter keeps."""

UNDECODABLE = "undecodable"
"""The reason of dead letters of records that could not be decoded, or must not be, as that kills."""

Header = tuple[str, "bytes | None"]

Tell = Callable[[int, "int | None"], None]
"""What is told what headers alone show before any record is decoded: how many there are, and a middle."""


@dataclass(frozen=True)
class Batch:
    """A batch as its header describes it.

    `replay` is the (partition, offset, attempt) of the dead letter that a batch of one record replays. A
    `verdict` makes dead letters of the records without running them: `reason` is theirs, and it says why.
    Under `probation` nothing of the pipeline has ever succeeded.
    """

    format: Literal["lines", "records", "oversized", "kafka"]
    partition: str
    shown: str
    base: int
    first: int
    next: int
    arrival_ms: int
    probation: bool = False
    reason: str | None = None
    verdict: str | None = None
    replay: tuple[str, int, int] | None = None


class Record(NamedTuple):
    """A record as a transform of two parameters gets it, beside its value.

    `timestamp` is Kafka's, in UTC; lines of a file have none. `headers` are in the order they were sent in.
    `topic` and `partition` are Kafka's; for a file, `topic` is None and `partition` its path. `offset` is
    Kafka's, or the position in the file, in bytes, of the line's beginning.
    """

    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: datetime | None
    topic: str | None
    partition: int | str
    offset: int


class Failure(NamedTuple):
    """Why a record becomes a dead letter."""

    reason: str
    error: str
    traceback: str | None = None


class Undecoded(NamedTuple):
    """Records that were not decoded, of which nothing is known but where they are.

    `head` is the beginning of the bytes that hold them all.
    """

    offsets: range
    head: bytes
    failure: Failure

    def letters(self, batch: Batch, code: str, at: int) -> Iterator[Letter]:
        """A dead letter for each, of which the first one has the bytes."""
        for offset in self.offsets:
            yield {
                "partition": batch.partition,
                "shown": batch.shown,
                "offset": offset,
                "next": offset + 1,
                "attempt": 0,
                "reason": self.failure.reason,
                "error": self.failure.error,
                "traceback": self.failure.traceback,
                "value": self.head if offset == self.offsets[0] else None,
                "length": UNKNOWN_LENGTH,
                "key": None,
                "headers": [],
                "timestamp": None,
                "at": at,
                "code": code,
            }


class Decoded(abc.ABC):
    """The records of a batch, as columns; `values` are what a transform gets.

    `partitions` and `offsets` identify a record for ever: for a replayed one they are those of its source.
    `ends` are the offsets that follow. Those that could not be decoded are in no column, but `undecoded`.
    """

    undecoded: Sequence[Undecoded] = ()

    def __init__(self, batch: Batch, values: Sequence[bytes | None]) -> None:
        self.batch = batch
        self._values = values

    @property
    def values(self) -> Sequence[bytes | None]:
        return self._values

    def each(self) -> Iterable[bytes | None]:
        """The values, once, one after another; those that nobody keeps need not be there all at once."""
        return self.values

    @property
    def count(self) -> int:
        """How many records there are to work on."""
        return len(self.values)

    @property
    def undecodable(self) -> int:
        """How many there are besides, which could not be decoded."""
        return sum(len(each.offsets) for each in self.undecoded)

    @property
    @abc.abstractmethod
    def middle(self) -> int | None:
        """Where to cut the range so that each part has half of the records; None under two records."""

    @property
    @abc.abstractmethod
    def offsets(self) -> Sequence[int]: ...

    @property
    @abc.abstractmethod
    def ends(self) -> Sequence[int]: ...

    @property
    def positions(self) -> Sequence[int]:
        """Where they stand in the batch's range, which for a replayed one is not where its source has it."""
        return self.offsets

    @property
    def partitions(self) -> Sequence[str]:
        return [self.batch.partition] * self.count

    @property
    def shown(self) -> Sequence[str]:
        return [self.batch.shown] * self.count

    @property
    def keys(self) -> Sequence[bytes | None]:
        return [None] * self.count

    @property
    def headers(self) -> Sequence[Sequence[Header]]:
        return [()] * self.count

    @property
    def timestamps(self) -> Sequence[int | None]:
        """Milliseconds since 1970, where a record has them."""
        return [None] * self.count

    @property
    def lengths(self) -> Sequence[int]:
        return [0 if value is None else len(value) for value in self.values]

    @property
    def buffers(self) -> Buffers | None:
        """Its columns as Arrow has them, where they can be had so without their values."""
        return None

    @property
    def verdict(self) -> Failure | None:
        """Why the records are dead letters without being run, if they are."""
        if self.batch.verdict is None:
            return None
        return Failure(self.batch.reason or "crash", self.batch.verdict)

    def records(self) -> list[Record]:
        """Each record as a transform of two parameters gets it."""
        columns = zip(
            self.keys, self.headers, self.timestamps, self.partitions, self.shown, self.offsets, strict=True
        )
        return [
            Record(
                key, list(headers), None if at is None else to_datetime(at), *_place(partition, shown), offset
            )
            for key, headers, at, partition, shown, offset in columns
        ]

    def letters(self, failures: Mapping[int, Failure], code: str = "") -> list[Letter]:
        """The dead letters of the records whose indexes `failures` has, and of those not decoded."""
        now = int(time.time() * 1000)
        undecoded = [letter for each in self.undecoded for letter in each.letters(self.batch, code, now)]
        if not failures:
            return undecoded
        attempt = self.batch.replay[2] + 1 if self.batch.replay else 0
        columns = list(
            zip(
                self.values,
                self.partitions,
                self.shown,
                self.offsets,
                self.ends,
                self.lengths,
                self.keys,
                self.headers,
                self.timestamps,
                strict=True,
            )
        )
        letters: list[Letter] = []
        for index in sorted(failures):
            failure = failures[index]
            value, partition, shown, offset, end, length, key, headers, timestamp = columns[index]
            letters.append(
                {
                    "partition": partition,
                    "shown": shown,
                    "offset": offset,
                    "next": end,
                    "attempt": attempt,
                    "reason": failure.reason,
                    "error": failure.error,
                    "traceback": failure.traceback,
                    "value": None if value is None else value[:LONGEST_VALUE],
                    "length": length,
                    "key": key,
                    "headers": list(headers),
                    "timestamp": timestamp,
                    "at": now,
                    "code": code,
                }
            )
        return letters + undecoded


class Lines(Decoded):
    """Lines of a file, without their ends (`\\n` or `\\r\\n`). The last one of all may lack its end."""

    def __init__(self, batch: Batch, payload: bytes | memoryview) -> None:
        text = bytes(payload)
        begin, end = lines_inside(batch, text)
        self._lines = text[begin:end].split(b"\n")
        self._begin = batch.base + begin
        self._end = batch.base + end
        if not self._lines[-1]:  # what follows the last line's end
            self._lines.pop()
        values = self._lines
        if b"\r" in text:  # a single byte is found many times as fast as two
            values = [line[:-1] if line.endswith(b"\r") else line for line in self._lines]
            if values and not text.endswith(b"\n", begin, end):
                values[-1] = self._lines[-1]
        super().__init__(batch, values)

    @property
    def middle(self) -> int | None:
        half = self.count // 2
        return self._begin + sum(map(len, self._lines[:half])) + half if half else None

    @cached_property
    def _bounds(self) -> list[int]:
        bounds = list(accumulate((len(line) + 1 for line in self._lines), initial=self._begin))
        bounds[-1] = self._end
        return bounds

    @property
    def offsets(self) -> Sequence[int]:
        return self._bounds[:-1]

    @property
    def ends(self) -> Sequence[int]:
        return self._bounds[1:]


class SourceRecords(Decoded):
    """Records with all that they carry, each from a place of its own."""

    def __init__(self, batch: Batch, payload: bytes | memoryview) -> None:
        records: list[LongRecord] = unpack(payload)
        self._records = [record for record in records if batch.first <= record["offset"] < batch.next]
        super().__init__(batch, [record["value"] for record in self._records])

    @property
    def middle(self) -> int | None:
        half = self.count // 2
        return self._records[half]["offset"] if half else None

    @property
    def offsets(self) -> Sequence[int]:
        return [record["source_offset"] for record in self._records]

    @property
    def ends(self) -> Sequence[int]:
        return [record["source_offset"] + 1 for record in self._records]

    @property
    def positions(self) -> Sequence[int]:
        return [record["offset"] for record in self._records]

    @property
    def partitions(self) -> Sequence[str]:
        return [record["partition"] for record in self._records]

    @property
    def shown(self) -> Sequence[str]:
        return [record["shown"] for record in self._records]

    @property
    def keys(self) -> Sequence[bytes | None]:
        return [record["key"] for record in self._records]

    @property
    def headers(self) -> Sequence[list[Header]]:
        return [[(name, value) for name, value in record["headers"]] for record in self._records]

    @property
    def lengths(self) -> Sequence[int]:
        return [record.get("length", len(record["value"] or b"")) for record in self._records]

    @property
    def verdict(self) -> Failure | None:
        for record in self._records:
            if "length" in record:  # then it is alone
                return _oversized(self.lengths[0])
        return super().verdict

    @property
    def timestamps(self) -> Sequence[int | None]:
        stamps = [record["timestamp"] for record in self._records]
        return [stamp if stamp is not None and is_time(stamp) else None for stamp in stamps]


class Oversized(Decoded):
    """One record that is too long to be read: the range that it spans, and its beginning."""

    def __init__(self, batch: Batch, payload: bytes | memoryview) -> None:
        super().__init__(batch, [bytes(payload)])

    middle = None

    @property
    def offsets(self) -> Sequence[int]:
        return [self.batch.first]

    @property
    def ends(self) -> Sequence[int]:
        return [self.batch.next]

    @property
    def lengths(self) -> Sequence[int]:
        return [self.batch.next - self.batch.first]

    @property
    def verdict(self) -> Failure:
        return _oversized(self.batch.next - self.batch.first)


def _oversized(size: int) -> Failure:
    return Failure(
        "oversized",
        f"the record is {size:,} bytes long, too long to be read: of it there is the beginning",
    )


def lines_inside(batch: Batch, text: bytes) -> tuple[int, int]:
    """Where in the text of a batch of lines those begin and end that are in its range."""
    return _line_start(text, batch.first - batch.base), _line_start(text, batch.next - batch.base)


def _line_start(text: bytes, position: int) -> int:
    """Where the first line begins that does not begin before `position`."""
    if position <= 0:
        return 0
    return text.find(b"\n", position - 1) + 1 or len(text)


def _place(partition: str, shown: str) -> tuple[str | None, int | str]:
    """Topic and number of a Kafka partition, nothing and the path of a file."""
    topic, slash, number = partition.rpartition("/")
    return (topic, int(number)) if slash else (None, shown)
