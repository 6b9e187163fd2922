"""What Python processes say to each other through the BEAM, which does not read it: msgpack, only.

Every payload has one shape, given here once as a type, so that both ends agree on it. `unpack` raises
`ValueError` on bytes that are not msgpack; it makes no objects but numbers, text, bytes, lists and maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import msgpack

UNKNOWN_LENGTH = -1
"""The `length` of a letter whose record was never decoded: its `value` is what there is to see instead."""


class Letter(TypedDict):
    """A dead letter: a record that could not be counted, with what is needed to see why and to replay it.

    `code` tells the FILE.py that was run from others (`Pipeline.code`).
    """

    partition: str
    shown: str
    offset: int
    next: int
    attempt: int
    reason: str
    error: str
    traceback: str | None
    value: bytes | None
    length: int
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int | None
    at: int
    code: str


class Columns(TypedDict):
    """One metric's deltas of one batch: keys and deltas as columns of equal length, one bucket after another.

    `buckets` are the starts of buckets, each once, with how many of the keys that follow are in it; each of
    them is there once.
    """

    buckets: Sequence[tuple[int, int]]
    keys: Sequence[str]
    deltas: Sequence[Any]


def by_bucket(columns: Columns) -> Iterator[tuple[int, Sequence[str], Sequence[Any]]]:
    """Each bucket's start, and its keys and deltas.

    Raises `ValueError` where buckets are not of all keys, there are not as many deltas, or a bucket or a key
    in it comes twice.
    """
    buckets, keys, deltas = columns["buckets"], columns["keys"], columns["deltas"]
    counted = sum(count for _, count in buckets)
    if not len(keys) == len(deltas) == counted:
        raise ValueError(f"{len(keys)} keys, {len(deltas)} deltas, and buckets of {counted}")
    if len(dict(buckets)) < len(buckets):
        raise ValueError("a bucket comes twice")
    begin = 0
    for bucket, count in buckets:
        some = keys[begin : begin + count]
        if len(set(some)) < count:
            raise ValueError(f"a key of the bucket {bucket} comes twice")
        yield bucket, some, deltas[begin : begin + count]
        begin += count


class OutputRows(TypedDict):
    """What is kept of a batch's rows, as columns of equal length: each a JSON object, in text.

    `partition` and `offsets` are the positions of their records, those of its source for a replayed one;
    `indexes` say which of its record's rows each is. `times` are seconds since 1970, where there is a
    retention, which runs from then.
    """

    partition: str
    offsets: list[int]
    indexes: list[int]
    times: list[int] | None
    rows: list[str]


class Result(TypedDict):
    """What a batch came to: metrics' deltas by name, dead letters, and counts of rows for the log.

    `output` are `OutputRows`, packed, as the store only passes them on; None where no rows are kept.
    """

    metrics: dict[str, Columns]
    letters: list[Letter]
    output: bytes | None
    late: int
    expired: int
    without_id: int


class Origin(TypedDict):
    """Where a generation began to read Kafka, decided once: topics' ids (hex), and offsets by partition.

    A partition, `TOPIC/NUMBER`, that is not among `starts` was added later, and starts at its beginning.
    """

    topics: dict[str, str]
    starts: dict[str, int]


class KnownPartition(TypedDict):
    """A partition as the store remembers it. `meta` and `mark` are the source's own, unread by others."""

    partition: str
    shown: str
    upto: int
    mark: bytes
    meta: bytes


class Known(TypedDict):
    """What a source is told when it starts. Once `started`, a partition that is not listed is a new one.

    It starts at its beginning then. Before, `start` is where a reset said to begin (`earliest`, `latest` or a
    time), and None leaves that to the run. Of Kafka, `origin` says all of that instead. `generations` are the
    ids of all that the pipeline has had in a store that is one host's alone, and None for one that is shared.
    """

    generation: str
    started: bool
    start: str | None
    partitions: list[KnownPartition]
    origin: Origin | None
    generations: list[str] | None


class AssignedPartition(TypedDict):
    """A partition that a source has taken on, and the offset it starts at if the store has never seen it."""

    partition: str
    shown: str
    start: int
    meta: bytes


class SourceRecord(TypedDict):
    """One record in a payload of the format `records`."""

    offset: int
    value: bytes | None
    key: bytes | None
    timestamp: int | None
    headers: list[tuple[str, bytes | None]]
    partition: str
    shown: str
    source_offset: int


class LongRecord(SourceRecord, total=False):
    """A record of which there is only the beginning of the value: it is as long as `length` says, in bytes.

    That counts the key and the headers too where those are missing. It is alone in its payload.
    """

    length: int


Claim = tuple[bytes, str, int]
"""An event id, and the position (partition, offset) that claims it."""


def pack(payload: Any) -> bytes:
    """Encode a payload of any of the shapes above; integers must fit 64 bits (metrics write text)."""
    packed: bytes = msgpack.packb(payload, use_bin_type=True)
    return packed


def unpack(data: bytes | bytearray | memoryview) -> Any:
    """Decode a payload. Raises `ValueError` on anything but one whole msgpack value."""
    try:
        return msgpack.unpackb(data, raw=False, strict_map_key=False)
    except (msgpack.UnpackException, TypeError) as error:
        raise ValueError(f"not a msgpack payload: {error}") from error
