"""The table: what Comporta is to reach, each row as data, and what a run says of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from comporta.bench.job import Shape
from comporta.bench.topics import Load
from comporta.errors import UsageError

STANDARD = Load()
LONG = Load(share=5.0)  # for what is over too soon
SINGLE = Load(each=1, share=0.5)
PATHS = Load(Shape(paths=5_000))
IDS = Load(Shape(ids=True), share=0.5)
SHORT = Load(share=0.2)
FEW_GROUPS, MANY_GROUPS = Load(Shape(paths=1_000)), Load(Shape(paths=1_000_000))


class Measured(NamedTuple):
    """The lines a second of a system that counts a load, in as many processes as cores or in so many."""

    system: str
    load: Load = STANDARD
    processes: int | None = None


class Probed(NamedTuple):
    """One of the figures that a probe, which is no run of a system, finds."""

    probe: str
    figure: str


class Row(NamedTuple):
    """A row of the table.

    What is measured is to be at least `target` times as much as `against`, or as `cores` times that; without
    `against`, it is to reach the target itself: as most, where it is probed, and as least otherwise.
    """

    number: int
    what: str
    value: Measured | Probed
    target: float
    against: Measured | None = None
    per_core: bool = False

    @property
    def name(self) -> str:
        """The number, and which part of it."""
        return f"{self.number} {self.what}"

    @property
    def measured(self) -> list[Measured]:
        """The runs of systems that it takes."""
        return [each for each in (self.value, self.against) if isinstance(each, Measured)]


COMPORTA, BATCH, AIOKAFKA = Measured("comporta"), Measured("comporta-batch", LONG), Measured("aiokafka")
BARE = Measured("bare")
NOTHING = Measured("comporta-nothing", LONG)
ROWS = (
    Row(1, "nothing to compute, lines/s", NOTHING, 3_000_000),
    Row(1, "nothing to compute / aiokafka", NOTHING, 10, Measured("aiokafka-nothing", LONG)),
    Row(2, "into SQLite / bare loop x cores", COMPORTA, 0.8, BARE, per_core=True),
    Row(2, "into Cassandra / bare loop x cores", Measured("comporta-cassandra"), 0.75, BARE, per_core=True),
    Row(
        3, "record batches of one / aiokafka", Measured("comporta", SINGLE), 1.5, Measured("aiokafka", SINGLE)
    ),
    Row(
        4,
        "5,000 groups a minute / aiokafka",
        Measured("comporta-paths", PATHS),
        1.2,
        Measured("aiokafka", PATHS),
    ),
    Row(5, "record transform / aiokafka", COMPORTA, 1.6, AIOKAFKA),
    Row(5, "record transform / confluent-kafka", COMPORTA, 1.3, Measured("confluent")),
    Row(6, "record transform / Bytewax", COMPORTA, 5, Measured("bytewax")),
    Row(6, "record transform / Quix Streams", COMPORTA, 14, Measured("quix")),
    Row(6, "record transform / Storm with pystorm", COMPORTA, 30, Measured("storm")),
    Row(7, "batch transform / plain Java", BATCH, 2, Measured("java", LONG)),
    Row(8, "batch transform, lines/s", BATCH, 1_200_000),
    Row(9, "every line deduplicated, lines/s", Measured("comporta-dedup", IDS), 90_000),
    Row(
        10,
        "two workers / one, 50 µs a line",
        Measured("comporta-slow", SHORT, 2),
        1.9,
        Measured("comporta-slow", SHORT, 1),
    ),
    Row(
        11,
        "file into SQLite / bare loop x cores",
        Measured("comporta-file"),
        0.85,
        Measured("bare-file"),
        per_core=True,
    ),
    Row(12, "produced to folded, median, ms", Probed("latency", "median"), 20),
    Row(12, "produced to folded, p99, ms", Probed("latency", "p99"), 100),
    Row(12, "visible in Cassandra beyond the flush interval, ms", Probed("latency", "visible"), 150),
    Row(13, "after kill -9 of a worker, s", Probed("recovery", "worker"), 1),
    Row(13, "after kill -9 of the source, s", Probed("recovery", "source"), 4),
    Row(13, "after kill -9 of the BEAM, s", Probed("recovery", "beam"), 8),
    Row(14, "the BEAM under a backlog, MB", Probed("backlog", "beam"), 150),
    Row(14, "a worker beyond the imports, MB", Probed("backlog", "worker"), 100),
    Row(
        15,
        "groups: 1,000,000 / 1,000",
        Measured("comporta-groups", MANY_GROUPS),
        0.5,
        Measured("comporta-groups", FEW_GROUPS),
    ),
    Row(16, "`comporta run` to the first line, s", Probed("first-line", "seconds"), 3),
)


class Plan(NamedTuple):
    """What is to be run for some rows, in order, each once."""

    rows: Sequence[Row]
    measured: Sequence[Measured]
    probes: Sequence[str]


def plan(numbers: Collection[int] | None, systems: Sequence[str] | None, known: Collection[str]) -> Plan:
    """What is run for the rows of these numbers, with these systems; by default for all, with all known.

    A system that is named, or known, and is in none of the rows counts its first load there, or the standard
    one. Raises `UsageError` for a number or a name that is none.
    """
    _check("row", numbers or (), sorted({row.number for row in ROWS}))
    _check("system", systems or (), sorted(known))
    rows = [row for row in ROWS if not numbers or row.number in numbers]
    if systems:
        rows = [row for row in rows if row.measured and all(each.system in systems for each in row.measured)]
    measured = list(dict.fromkeys(each for row in rows for each in row.measured))
    alone = systems or (() if numbers else known)
    usual = {each.system: each for row in reversed(ROWS) for each in row.measured}
    has = {each.system for each in measured}
    measured += [usual.get(name, Measured(name)) for name in alone if name not in has]
    probes = [row.value.probe for row in rows if isinstance(row.value, Probed)]
    return Plan(rows, measured, list(dict.fromkeys(probes)))


def _check(what: str, given: Collection[object], known: Sequence[object]) -> None:
    for each in given:
        if each not in known:
            raise UsageError(f"there is no {what} {each}; there are {', '.join(map(str, known))}")


def judged(
    row: Row, rates: Mapping[Measured, float], figures: Mapping[Probed, float], cores: int
) -> dict[str, Any]:
    """What a run says of a row; what is not known is None, and then the target is not met."""
    against = None
    value = figures.get(row.value) if isinstance(row.value, Probed) else rates.get(row.value)
    if row.against is not None and (rate := rates.get(row.against)) is not None:
        against = rate * (cores if row.per_core else 1)
    beside = row.target if row.against is None else against
    ratio = None if value is None or not beside else value / beside
    if ratio is None:
        met = False
    elif isinstance(row.value, Probed):
        met = ratio <= 1
    else:
        met = ratio >= (1 if row.against is None else row.target)
    return {
        "row": row.name,
        "value": value,
        "against": against,
        "ratio": ratio,
        "target": row.target,
        "met": met,
    }
