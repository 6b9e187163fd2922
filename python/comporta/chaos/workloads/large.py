"""Records of a MiB, of which some cannot be counted, and are dead letters of that size."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import Event, Workload

SIZE = 1_048_588 - 1000
"""Bytes: what Kafka takes unless told otherwise, without what is wrapped around a record."""
NO_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class Large(Workload):
    """Bytes by chance, which do not compress, and the checksums that they must still have."""

    name = "large"
    rate = 3
    code = """
import zlib

import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    metrics=[
        c.count("events", by=["slot"]),
        c.sum("bytes", of="bytes"),
        c.sum("hash", of="hash", by=["slot"]),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number = int(line[:20])
    if number % 8 == 5:
        raise ValueError("one in eight is not accepted")
    return {"slot": number % 1000, "bytes": len(line), "hash": zlib.crc32(line)}
"""

    def event(self, number: int) -> Event:
        begin = b"%020d " % number
        content = random.Random(number).randbytes(SIZE - len(begin))
        return Event(begin + content.translate(NO_LINE_ENDS))

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        return [number for number in acknowledged if number % 8 != 5]

    def dead(self, acknowledged: Sequence[int]) -> int:
        return sum(number % 8 == 5 for number in acknowledged)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        hashes: dict[tuple[int], int] = {}
        for number in counted:
            slot = (number % 1000,)
            hashes[slot] = hashes.get(slot, 0) + zlib.crc32(self.event(number).value)
        yield from differences("bytes", results.values("bytes"), {(): SIZE * len(counted)})
        yield from differences("hash", results.values("hash"), hashes)
