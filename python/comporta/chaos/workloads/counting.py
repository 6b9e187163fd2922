"""Plain counting: numbers of events, and sums that their payloads are checked by."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import SLOTS, Event, Workload

STATUSES = (200, 200, 200, 304, 404, 500)


class Counting(Workload):
    """Counts and integer sums by few groups."""

    name = "counting"
    code = """
import zlib

import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    metrics=[
        c.count("events", by=["slot"]),
        c.count("requests", by=["status"]),
        c.sum("bytes", of="size", by=["status"]),
        c.sum("hash", of="hash"),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number, status, size = map(int, line.split())
    return {"slot": number % 1000, "status": status, "size": size, "hash": zlib.crc32(line)}
"""

    def event(self, number: int) -> Event:
        return Event(b"%d %d %d" % (number, STATUSES[number % len(STATUSES)], number * 7919 % 10_007))

    def hash(self, number: int) -> int:
        """The checksum of an event's value."""
        return zlib.crc32(self.event(number).value)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        requests: dict[tuple[int], int] = {}
        sizes: dict[tuple[int], int] = {}
        hashes = 0
        for number in counted:
            value = self.event(number).value
            _, status, size = map(int, value.split())
            requests[status,] = requests.get((status,), 0) + 1
            sizes[status,] = sizes.get((status,), 0) + size
            hashes += self.hash(number)
        for metric, expected in (("requests", requests), ("bytes", sizes), ("hash", {(): hashes})):
            yield from differences(metric, results.values(metric), expected)


assert SLOTS == 1000  # as the code above has it
