"""A great many events at once, each as small as can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import Event, Workload

DIVISOR = 60
BURST, BURST_RATE = 1_000_000, 20_000


class Tiny(Workload):
    """A million records of 20 bytes, and more of them for as long as the trial takes."""

    name = "tiny"
    rate = 1_000
    code = """
import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    metrics=[
        c.count("events", by=["slot"]),
        c.sum("numbers", of="number"),
        c.max("highest", of="number", by=["rest"]),
        c.min("lowest", of="number", by=["rest"]),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number = int(line)
    return {"number": number, "slot": number % 1000, "rest": number % 60}
"""

    def due(self, seconds: float) -> int:
        return min(BURST, int(seconds * BURST_RATE)) + super().due(seconds)

    def event(self, number: int) -> Event:
        return Event(b"%020d" % number)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        highest: dict[tuple[int], int] = {}
        lowest: dict[tuple[int], int] = {}
        for number in counted:
            group = (number % DIVISOR,)
            highest[group] = max(number, highest.get(group, number))
            lowest[group] = min(number, lowest.get(group, number))
        yield from differences("numbers", results.values("numbers"), {(): sum(counted)})
        yield from differences("highest", results.values("highest"), highest)
        yield from differences("lowest", results.values("lowest"), lowest)
