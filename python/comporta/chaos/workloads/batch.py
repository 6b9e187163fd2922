"""A transform of a batch at a time, with Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from comporta.chaos.differences import differences
from comporta.chaos.results import Results
from comporta.chaos.workload import Event, Workload


class Batch(Workload):
    """Of five events one is dropped, and another makes three rows.

    The batch comes back as a frame of Polars, where that is installed, else as a table of Arrow.
    """

    name = "batch"
    code = """
import pyarrow as pa
import pyarrow.compute as pc

import comporta as c
from comporta.chaos.harness import heed

try:
    import polars
except ImportError:
    polars = None

pipeline = c.Pipeline(
    "chaos",
    metrics=[
        c.sum("events", of="one", by=["slot"]),
        c.count("rows", by=["place", "half"]),
        c.sum("size", of="size", by=["place"]),
    ],
)


@pipeline.transform_batch
def parse(batch):
    batch = batch.filter(pa.array([not heed(value) for value in batch.column("value").to_pylist()]))
    fields = pc.extract_regex(batch.column("value").cast(pa.string()), "(?P<number>[0-9]+) (?P<size>.+)")
    number = fields.field("number").cast(pa.int64()).to_numpy()
    table = pa.table(
        {
            "offset": batch.column("offset"),
            "slot": number % 1000,
            "place": number % 5,
            "half": number % 2 / 2,
            "size": fields.field("size").cast(pa.float64()),
            "one": [1] * len(number),
        }
    )
    table = table.filter(pc.not_equal(table["place"], 1))
    again = table.filter(pc.equal(table["place"], 2)).drop_columns(["one"])
    made = pa.concat_tables([table, again, again], promote_options="default")
    return made if polars is None else polars.from_arrow(made)
"""

    def event(self, number: int) -> Event:
        return Event(b"%d %d.25" % (number, number * 7919 % 10_007))

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        return [number for number in acknowledged if number % 5 != 1]

    def dropped(self, acknowledged: Sequence[int]) -> int:
        return sum(number % 5 == 1 for number in acknowledged)

    def check(self, counted: Sequence[int], results: Results) -> Iterator[str]:
        rows: dict[tuple[int, float], int] = {}
        sizes: dict[tuple[int], float] = {}
        for number in counted:
            place, times = number % 5, 3 if number % 5 == 2 else 1
            group = (place, number % 2 / 2)
            rows[group] = rows.get(group, 0) + times
            sizes[place,] = sizes.get((place,), 0) + times * float(self.event(number).value.split()[1])
        yield from differences("rows", results.values("rows"), rows)
        yield from differences("size", results.values("size"), sizes)
