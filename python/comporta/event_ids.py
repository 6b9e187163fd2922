"""Event ids: what tells that two records are one event, sent twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import numpy

from comporta.checking import Checked
from comporta.definition import ById
from comporta.groups import Indexes
from comporta.payloads import Claim
from comporta.records import Decoded, Header
from comporta.rows import Rows
from comporta.values import NULL

# Bytes of an id that is kept as it is. A longer one becomes a hash of 16 bytes, so that the two never meet.
WHOLE = 15

Claims = Callable[[list[Claim]], bytes]
"""Claims ids: a byte for each, 1 for the first to claim it (or its own position again), 0 for a duplicate."""


def fresh_rows(
    dedup: ById, decoded: Decoded, rows: Rows, checked: Checked, good: Indexes, claim: Claims
) -> tuple[Indexes, int]:
    """Those of the `good` rows that are no duplicates, and how many rows have no id."""
    partitions, offsets = decoded.partitions, decoded.offsets
    wanted: list[Claim | None] = []
    records = rows.records[good].tolist()
    for record, id in zip(records, _ids(dedup, decoded, checked, good, records), strict=True):
        wanted.append(None if id is None else (short(id), partitions[record], offsets[record]))
    claims = list(dict.fromkeys(each for each in wanted if each is not None))
    first = dict(zip(claims, claim(claims) if claims else b"", strict=True))
    is_fresh = numpy.fromiter((each is None or first[each] for each in wanted), numpy.bool_, len(wanted))
    return good[is_fresh], wanted.count(None)


def short(id: bytes) -> bytes:
    """An id in at most 16 bytes: itself, or its 128-bit BLAKE2b hash."""
    return id if len(id) <= WHOLE else hashlib.blake2b(id, digest_size=16).digest()


def _ids(
    dedup: ById, decoded: Decoded, checked: Checked, good: Indexes, records: Sequence[int]
) -> Iterable[bytes | None]:
    if dedup.header is not None:
        headers = decoded.headers
        return [_in_headers(headers[record], dedup.header) for record in records]
    texts = checked.texts[dedup.field or ""].select(good)
    return [None if text == NULL else text.encode() for text in texts.values()]


def _in_headers(headers: Sequence[Header], name: str) -> bytes | None:
    """The value of the last header of that name, which is the one that counts in Kafka; None without one."""
    for key, value in reversed(headers):
        if key == name:
            return value
    return None
