"""A transform that takes some milliseconds for each record, and now and then much longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import Event, Workload


class Slow(Workload):
    """Records that cost 2 to 5 ms, and one in a thousand half a second; one in ten is dropped."""

    name = "slow"
    rate = 100
    code = """
import time

import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    metrics=[c.count("events", by=["slot"]), c.mean("milliseconds", of="ms")],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number, ms, _ = line.split()
    time.sleep(int(ms) / 1000)
    return None if int(number) % 10 == 3 else {"slot": int(number) % 1000, "ms": int(ms)}
"""

    def event(self, number: int) -> Event:
        return Event(b"%d %d %s" % (number, self.milliseconds(number), b"x" * 200))

    def milliseconds(self, number: int) -> int:
        """How long the event of that number takes."""
        return 500 if number % 1000 == 999 else 2 + number % 4

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        return [number for number in acknowledged if number % 10 != 3]

    def dropped(self, acknowledged: Sequence[int]) -> int:
        return sum(number % 10 == 3 for number in acknowledged)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        total = sum(map(self.milliseconds, counted))
        yield from differences("milliseconds", results.values("milliseconds"), {(): total / len(counted)})
