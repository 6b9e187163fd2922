"""A transform that answers differently each time: what takes effect must be one of its answers, whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Group, Results
from comporta.chaos.workload import Event, Workload


class Changing(Workload):
    """Records become one to three rows, with weights and in groups by chance.

    No one knows what the weights come to; but each metric says the same of them, since each record took
    effect by one and the same run of the transform in all of them.
    """

    name = "changing"
    code = """
import random

import comporta as c
from comporta.chaos.harness import heed

pipeline = c.Pipeline(
    "chaos",
    metrics=[
        c.sum("events", of="one", by=["slot"]),
        c.count("rows", by=["rows", "group"]),
        c.sum("weight", of="weight"),
        c.sum("weight_by_group", of="weight", by=["group"]),
        c.sum("weight_by_slot", of="weight", by=["slot"]),
        c.sum("records", of="one", by=["rows"]),
        c.mean("mean", of="weight", by=["group"]),
    ],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    rows = [
        {"slot": int(line) % 1000, "group": random.randrange(20), "weight": random.randrange(1_000_000)}
        for _ in range(random.randint(1, 3))
    ]
    rows[0]["one"] = 1
    return [row | {"rows": len(rows)} for row in rows]
"""

    def event(self, number: int) -> Event:
        return Event(b"%d" % number)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        records, rows = results.values("records"), results.values("rows")
        yield from differences("records", {(): sum(records.values())}, {(): len(counted)})
        times = {group: count * group[0] for group, count in records.items()}
        yield from differences("rows", _summed(rows, 0), times)
        weight, by_group = results.values("weight"), results.values("weight_by_group")
        yield from differences("weight_by_group", {(): sum(by_group.values())}, weight)
        by_slot = results.values("weight_by_slot")
        yield from differences("weight_by_slot", {(): sum(by_slot.values())}, weight)
        counts = _summed(rows, 1)
        means = {group: total / counts.get(group, 1) for group, total in by_group.items()}
        yield from differences("mean", results.values("mean"), means, _is_close)


def _summed(values: dict[Group, int], place: int) -> dict[Group, int]:
    """Values summed up by the part of their groups that is at a place."""
    found: dict[Group, int] = {}
    for group, value in values.items():
        found[group[place],] = found.get((group[place],), 0) + value
    return found


def _is_close(found: float, expected: float) -> bool:
    return abs(found - expected) <= 1e-9 * expected
