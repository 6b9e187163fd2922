"""Sums and sketches by thousands of groups, and by the minute: as exact as their documentation states."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from statistics import fmean
from typing import Any, NamedTuple

from comporta.chaos import estimates
from comporta.chaos.differences import differences
from comporta.chaos.results import Group, Results
from comporta.chaos.workload import Event, Workload

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
STEP = timedelta(milliseconds=50)  # of the events' own time, from one to the next
PAGES, SECTIONS, USERS = 3000, 20, 20_000


class Row(NamedTuple):
    """What is in an event."""

    number: int
    time: datetime
    page: int
    section: int
    user: str
    ms: int
    seconds: float


class Sketches(Workload):
    """Every metric that there is, with many groups."""

    name = "sketches"
    rate = 50  # each reads and changes a dozen rows of some KiB, which are written after their redo
    code = """
import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    metrics=[
        c.count("events", by=["slot"]),
        c.count("views", by=["section", "is_odd"], every="1m"),
        c.sum("ms", of="ms", by=["page"]),
        c.sum("seconds", of="seconds", by=["section"], every="1m"),
        c.min("fastest", of="ms", by=["page"]),
        c.max("slowest", of="seconds", every="1h"),
        c.mean("typical", of="ms", by=["page"]),
        c.distinct("users", of="user", every="1m"),
        c.distinct("users_of_page", of="user", by=["page"]),
        c.distinct("users_of_section", of="user", by=["section"]),
        c.quantiles("latency", of="ms", by=["section"]),
        c.quantiles("latency_by_hour", of="seconds", every="1h"),
        c.top("pages", of="page", k=20, by=["section"]),
        c.top("visitors", of="user", k=50),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number, time, page, section, user, ms, seconds = line.decode().split()
    return {
        "slot": int(number) % 1000,
        "is_odd": int(number) % 2 == 1,
        "time": time,
        "page": int(page),
        "section": int(section),
        "user": user,
        "ms": int(ms),
        "seconds": float(seconds),
    }
"""

    def event(self, number: int) -> Event:
        number, time, *rest = self.row(number)
        return Event(" ".join(map(str, (number, time.isoformat(), *rest))).encode())

    def row(self, number: int) -> Row:
        """What is in the event of that number."""
        mixed = number * 2_654_435_761 % 2**32
        user = mixed % USERS if mixed % 3 else mixed % 17
        return Row(
            number=number,
            time=BEGIN + number * STEP,
            page=mixed * mixed * PAGES >> 64,  # low numbers are more frequent
            section=mixed % SECTIONS,
            user=f"user-{user}",
            ms=mixed % 10_007,
            seconds=mixed % 997 / 7,
        )

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        rows = [self.row(number) for number in counted]
        values = {name: _grouped(rows, by, of) for name, (by, of) in METRICS.items()}
        found = {name: results.values(name) for name in METRICS}
        for name, summary in EXACT.items():
            expected = {group: summary(each) for group, each in values[name].items()}
            yield from differences(name, found[name], expected, _is_close)
        for name in ("users", "users_of_page", "users_of_section"):
            yield from estimates.distinct(name, found[name], values[name])
        for name in ("latency", "latency_by_hour"):
            yield from estimates.quantiles(name, found[name], values[name])
        yield from estimates.top("pages", found["pages"], values["pages"], k=20)
        yield from estimates.top("visitors", found["visitors"], values["visitors"], k=50)


def _start(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _minute(row: Row) -> str:
    return _start(row.time.replace(second=0, microsecond=0))


def _hour(row: Row) -> str:
    return _start(row.time.replace(minute=0, second=0, microsecond=0))


METRICS: dict[str, tuple[Callable[[Row], Group], Callable[[Row], Any]]] = {
    "views": (lambda row: (_minute(row), row.section, row.number % 2 == 1), lambda row: 1),
    "ms": (lambda row: (row.page,), lambda row: row.ms),
    "seconds": (lambda row: (_minute(row), row.section), lambda row: row.seconds),
    "fastest": (lambda row: (row.page,), lambda row: row.ms),
    "slowest": (lambda row: (_hour(row),), lambda row: row.seconds),
    "typical": (lambda row: (row.page,), lambda row: row.ms),
    "users": (lambda row: (_minute(row),), lambda row: row.user),
    "users_of_page": (lambda row: (row.page,), lambda row: row.user),
    "users_of_section": (lambda row: (row.section,), lambda row: row.user),
    "latency": (lambda row: (row.section,), lambda row: row.ms),
    "latency_by_hour": (lambda row: (_hour(row),), lambda row: row.seconds),
    "pages": (lambda row: (row.section,), lambda row: row.page),
    "visitors": (lambda row: (), lambda row: row.user),
}
"""How each metric groups, and what it is of."""

EXACT: dict[str, Callable[[Sequence[Any]], float]] = {
    "views": sum,
    "ms": sum,
    "seconds": math.fsum,
    "fastest": min,
    "slowest": max,
    "typical": fmean,
}
"""What a group's values come to, for the metrics that are exact: to rounding, where they are floats."""


def _grouped(
    rows: Sequence[Row], by: Callable[[Row], Group], of: Callable[[Row], Any]
) -> dict[Group, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[by(row)].append(of(row))
    return dict(found)


def _is_close(found: float, expected: float) -> bool:
    if isinstance(expected, int):
        return found == expected
    return math.isclose(found, expected, rel_tol=1e-9)
