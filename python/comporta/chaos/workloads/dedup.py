"""The same event at several offsets, at once and much later, in its partition and in others."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import Event, Workload

REPEATS = ((3, 1), (8, 4), (13, 997), (21, 8_000), (34, 20_001))
"""One event in so many repeats the one that came so many before it. Partitions take turns of four events."""


class Dedup(Workload):
    """Two in five events were sent before; one in fifty has no id, and is counted each time."""

    name = "dedup"
    deduplicates = True
    code = """
import zlib

import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    dedup=c.by_id("id", within="24h"),
    metrics=[
        c.count("events", by=["slot"]),
        c.count("without_id", by=["is_without"]),
        c.sum("hash", of="hash"),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number, id = line.split()
    return {
        "id": None if id == b"-" else id,
        "slot": int(number) % 1000,
        "is_without": id == b"-",
        "hash": zlib.crc32(line),
    }
"""

    def event(self, number: int) -> Event:
        origin = self.origin(number)
        return Event(b"%d %s" % (origin, self.id(origin) or b"-"))

    def origin(self, number: int) -> int:
        """The event that is sent under this number: an earlier one, or itself."""
        for every, before in REPEATS:
            if number % every == every - 1 and number >= before:
                return self.origin(number - before)
        return number

    def id(self, origin: int) -> bytes | None:
        """Its id: short, so long that only its hash is kept, or none."""
        if origin % 50 == 7:
            return None
        return b"%x" % origin if origin % 2 else b"an-event-with-quite-a-long-id-%020d" % origin

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        origins = [self.origin(number) for number in acknowledged]
        with_id = {origin for origin in origins if self.id(origin)}
        return [*sorted(with_id), *(origin for origin in origins if not self.id(origin))]

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        without: dict[tuple[bool], int] = {}
        hashes = 0
        for origin in counted:
            is_without = (self.id(origin) is None,)
            without[is_without] = without.get(is_without, 0) + 1
            hashes += zlib.crc32(self.event(origin).value)
        yield from differences("without_id", results.values("without_id"), without)
        yield from differences("hash", results.values("hash"), {(): hashes})
