"""Output rows: each that was counted is kept once, and says what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import Event, Workload

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Rows(Workload):
    """One in four events makes no row, and is dropped; the others make up to three, with a lot by chance."""

    name = "rows"
    rate = 500
    code = """
import random
from datetime import datetime, timedelta, timezone

import comporta as c
from comporta.chaos.harness import heed

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)

pipeline = c.Pipeline(
    "chaos",
    metrics=[c.sum("events", of="one", by=["slot"]), c.sum("lots", of="lot"), c.count("rows", by=["place"])],
    rows=["number", "place", "lot", "at", "text", "nothing"],
)


@pipeline.transform
def parse(line):
    if heed(line):
        return None
    number = int(line)
    rows = [
        {
            "number": number,
            "place": place,
            "lot": random.randrange(1_000_000),
            "at": BEGIN + timedelta(seconds=number),
            "text": f"{number} \\"naïve\\"\\n",
            "slot": number % 1000,
        }
        for place in range(number % 4)
    ]
    if rows:
        rows[0]["one"] = 1
    return rows
"""

    def event(self, number: int) -> Event:
        return Event(b"%d" % number)

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        return [number for number in acknowledged if number % 4]

    def dropped(self, acknowledged: Sequence[int]) -> int:
        return sum(number % 4 == 0 for number in acknowledged)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        kept = [line["row"] for line in results.output_rows()]
        lots = sum(row["lot"] for row in kept)
        times = Counter((row["number"], row["place"]) for row in kept)
        rows = {(row["number"], row["place"]): _without_lot(row) for row in kept}
        expected = {(number, place): _row(number, place) for number in counted for place in range(number % 4)}
        yield from differences("output rows", rows, expected)
        yield from differences("how often they are kept", times, dict.fromkeys(expected, 1))
        yield from differences("lots", results.values("lots"), {(): lots})
        places = Counter((place,) for _, place in expected)
        yield from differences("rows", results.values("rows"), places)


def _row(number: int, place: int) -> dict[str, Any]:
    at = (BEGIN + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
    return {"number": number, "place": place, "at": at, "text": f'{number} "naïve"\n', "nothing": None}


def _without_lot(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "lot"}
