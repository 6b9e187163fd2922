"""Events that come late and out of order, in buckets of a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from comporta.chaos import estimates
from comporta.chaos.differences import differences
from comporta.chaos.results import Group, Results
from comporta.chaos.workload import Event, Workload

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
STEP = timedelta(milliseconds=50)  # of the events' own time, from one to the next
TOO_LATE = datetime(2010, 1, 1, tzinfo=timezone.utc)


class Late(Workload):
    """One in ten events is late by up to three hours, others by seconds; some are early, some years late.

    The last are dropped. All others are far from any limit, even where a clock is off by days.
    """

    name = "late"
    rate = 1000
    code = """
import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    late="3650d",
    retention="7000d",
    metrics=[
        c.count("events", by=["slot"]),
        c.count("by_minute", every="1m"),
        c.sum("size", of="size", by=["kind"], every="1m"),
        c.max("highest", of="number", every="1m"),
        c.distinct("kinds", of="size", every="1h"),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    time, number, size = line.decode().split()
    number, size = int(number), int(size)
    return {"time": time, "number": number, "slot": number % 1000, "kind": size % 3, "size": size}
"""

    def event(self, number: int) -> Event:
        return Event(b"%s %d %d" % (self.time(number).isoformat().encode(), number, number * 7919 % 1009))

    def time(self, number: int) -> datetime:
        """When the event of that number happened."""
        mixed = number * 2_654_435_761 % 2**32
        if _is_too_late(number):
            return TOO_LATE + number * STEP
        now = BEGIN + number * STEP
        if number % 10 == 3:
            return now - timedelta(seconds=mixed % 10_800)
        if number % 10 == 7:
            return now + timedelta(seconds=mixed % 600)
        return now - timedelta(milliseconds=mixed % 90_000 if number % 2 else 0)

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        return [number for number in acknowledged if not _is_too_late(number)]

    def dropped(self, acknowledged: Sequence[int]) -> int:
        return sum(map(_is_too_late, acknowledged))

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        by_minute: dict[Group, int] = defaultdict(int)
        sizes: dict[Group, int] = defaultdict(int)
        highest: dict[Group, int] = defaultdict(int)
        kinds: dict[Group, list[int]] = defaultdict(list)
        for number in counted:
            time, _, text = self.event(number).value.decode().split()
            size = int(text)
            minute, hour = f"{time[:16]}:00Z", f"{time[:13]}:00:00Z"
            by_minute[minute,] += 1
            sizes[minute, size % 3] += size
            highest[minute,] = max(highest[minute,], number)
            kinds[hour,].append(size)
        yield from differences("by_minute", results.values("by_minute"), by_minute)
        yield from differences("size", results.values("size"), sizes)
        yield from differences("highest", results.values("highest"), highest)
        yield from estimates.distinct("kinds", results.values("kinds"), kinds)


def _is_too_late(number: int) -> bool:
    return number % 100 == 42
