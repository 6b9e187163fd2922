"""The benchmark: its job, its table, and that nobody's totals are believed."""

import json
from collections import Counter
from pathlib import Path

import pytest
from real_services import RealServices
from real_services import services as services

from comporta.bench import growth, measure, report, suite, topics
from comporta.bench.job import Shape, expected, generate, parse, parse_with_path
from comporta.bench.probes import latency, recovery
from comporta.bench.rows import ROWS, STANDARD, Measured, Plan, Probed, Row, judged, plan
from comporta.bench.suite import Settings
from comporta.bench.system import Failed, Job, Result, Spent, System
from comporta.bench.systems.aiokafka import Aiokafka
from comporta.bench.systems.bare import Bare
from comporta.bench.systems.comporta import Batch, Comporta, Nothing
from comporta.bench.topics import Load
from comporta.errors import UsageError

LINES = 10_000


def summed(lines):
    totals = {}
    for minute, status, method, size in map(parse, lines):
        count, total = totals.get((minute, status, method), (0, 0))
        totals[minute, status, method] = count + 1, total + size
    return totals


@pytest.mark.parametrize("shape", [Shape(), Shape(paths=50), Shape(ids=True), Shape(length=900)])
def test_a_seed_says_what_is_right(shape: Shape) -> None:
    lines = list(generate(7, 1000, shape))
    assert lines == list(generate(7, 1000, shape))
    assert summed(lines) == expected(7, 1000)
    assert len({minute for minute, _, _ in expected(7, 1000)}) == 10


def test_lines_have_as_many_paths_and_ids_as_asked_for() -> None:
    paths = Counter(parse_with_path(line)[4] for line in generate(7, 1000, Shape(paths=50)))
    assert set(paths.values()) == {20}
    assert len({line.split()[-1] for line in generate(7, 1000, Shape(ids=True))}) == 1000


def test_lines_are_as_long_as_asked_for() -> None:
    assert {len(line) for line in generate(7, 100, Shape(length=2001))} == {2001}


class Liar(Bare):
    """Has one byte too many."""

    name = "liar"

    def result(self, job: Job, spent: Spent) -> Result:
        result = super().result(job, spent)
        group, (count, size) = next(iter(result.totals.items()))
        return result._replace(totals=result.totals | {group: (count, size + 1)})


class Sloth(Bare):
    """Has a line too few."""

    name = "sloth"

    def result(self, job: Job, spent: Spent) -> Result:
        result = super().result(job, spent)
        group, (count, size) = next(iter(result.totals.items()))
        return result._replace(totals=result.totals | {group: (count - 1, size)})


class Broken(Bare):
    """Ends badly."""

    name = "broken"

    def commands(self, job: Job) -> list[list[str]]:
        return [["sh", "-c", "echo out of order; exit 3"]]


class Lost(Bare):
    """Cannot be installed."""

    name = "lost"

    def install(self, cache: Path) -> None:
        raise suite.Unavailable("lost 1.0: no such version")


def test_who_lies_is_disqualified_and_named(services: RealServices, tmp_path: Path) -> None:
    known: dict[str, System] = {each.name: each() for each in (Aiokafka, Bare, Liar, Sloth, Broken, Lost)}
    measured = [Measured(name) for name in known]
    rows = [
        Row(5, "bare / aiokafka", Measured("bare"), 0.001, Measured("aiokafka")),
        Row(2, "liar / bare", Measured("liar"), 0.001, Measured("bare"), per_core=True),
    ]
    settings = Settings(Plan(rows, measured, []), LINES, rounds=1, seed=3, cores=2)
    outcome = suite.run(settings, lambda line: None, known, services.services)
    assert report.write(outcome, tmp_path)

    failures = {each.system: taken.failure for each, taken in outcome.taken.items()}
    assert failures["bare"] is None
    assert failures["aiokafka"] is None
    assert (failures["liar"] or "").startswith("disqualified: ")
    assert (failures["sloth"] or "").startswith("disqualified: 9,999 lines counted instead of 10,000")
    assert failures["broken"] == "it ended with 3: out of order"
    assert outcome.failures == {"lost": "lost 1.0: no such version"}
    assert not outcome.is_right

    latest = json.loads((tmp_path / "latest.json").read_text())
    assert all(list(row) == ["row", "value", "against", "ratio", "target", "met"] for row in latest)
    right, wrong = latest
    assert right["row"] == "5 bare / aiokafka"
    assert right["met"]
    assert right["ratio"] == pytest.approx(right["value"] / right["against"])
    assert (wrong["value"], wrong["ratio"], wrong["met"]) == (None, None, False)
    found = {each["system"]: each for each in json.loads((tmp_path / "run.json").read_text())["systems"]}
    assert found["aiokafka"]["peak_bytes"] > 1e6
    assert found["aiokafka"]["cpu_seconds_a_million"] > 0
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "disqualified: 9,999" in page


def test_curves_are_of_topics_as_they_say(
    services: RealServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = {2: Load(Shape(length=2000), each=3, partitions=2), 5: Load(each=10_000, partitions=5)}
    points = {n: Measured("aiokafka", load, 1) for n, load in loads.items()}
    monkeypatch.setattr(growth, "CURVES", (growth.Curve("partitions", points),))
    known = {"aiokafka": Aiokafka()}
    settings = Settings(growth.plan(), LINES, rounds=1, seed=3, cores=2)
    outcome = suite.run(settings, lambda line: None, known, services.services)
    assert outcome.is_right
    assert growth.write(outcome, tmp_path)
    [curve] = json.loads((tmp_path / "growth.json").read_text())["curves"]
    assert [amount for amount, rate in curve["points"] if rate > 0] == [2, 5]
    assert "lines a second" in (tmp_path / "growth.svg").read_text()


def test_every_curve_is_of_a_system_that_is_there() -> None:
    assert {each.system for each in growth.plan().measured} <= set(suite.all_systems())


@pytest.mark.parametrize("system", [Comporta(), Batch(), Nothing()], ids=lambda system: system.name)
def test_comporta_counts_what_is_right(system: Comporta, services: RealServices, tmp_path: Path) -> None:
    folder, file, topic = tmp_path / system.name, tmp_path / "lines", f"bench-{system.name}"
    folder.mkdir()
    topics.make(services.kafka, topic, STANDARD, 4, LINES, file)
    job = Job(services.kafka, topic, topics.PARTITIONS, LINES, 2, folder, file)
    spent = measure.run(system.commands(job), folder, 120)
    right = {(0, 0, ""): (LINES, 0)} if system.only_counts else expected(4, LINES)
    assert system.totals(job) == right
    assert spent.cpu > 0.5


def test_a_process_without_a_line_takes_no_time(tmp_path: Path) -> None:
    job = Job("127.0.0.1:9092", "lines", 4, 3, 2, tmp_path, tmp_path / "lines")
    spent = Spent(0.0, 60.0, 1.0, 1)
    idle = {"first": 0.0, "last": 0.0, "totals": []}
    (tmp_path / "result-0.json").write_text(json.dumps(idle))
    with pytest.raises(Failed, match="counted nothing"):
        Bare().result(job, spent)
    worked = {"first": 40.0, "last": 42.5, "totals": [[0, 200, "GET", 3, 5]]}
    (tmp_path / "result-1.json").write_text(json.dumps(worked))
    assert Bare().result(job, spent) == Result(2.5, {(0, 200, "GET"): (3, 5)})


def test_a_run_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="in time"):
        measure.run([["sleep", "600"], ["true"]], tmp_path, 0.5)
    with pytest.raises(Failed, match="failed"):
        measure.run([["sleep", "600"], ["false"]], tmp_path, 60)


def test_a_target_is_judged() -> None:
    fast, slow = Measured("fast"), Measured("slow")
    ratio = Row(2, "fast / slow", fast, 1.5, slow, per_core=True)
    assert judged(ratio, {fast: 300.0, slow: 100.0}, {}, 2) == {
        "row": "2 fast / slow",
        "value": 300.0,
        "against": 200.0,
        "ratio": 1.5,
        "target": 1.5,
        "met": True,
    }
    assert not judged(ratio, {fast: 299.0, slow: 100.0}, {}, 2)["met"]
    assert not judged(ratio, {fast: 300.0}, {}, 2)["met"]
    least = Row(8, "fast", fast, 300)
    assert judged(least, {fast: 300.0}, {}, 2)["met"]
    assert not judged(least, {fast: 299.0}, {}, 2)["met"]
    most = Row(16, "late", Probed("clock", "late"), 3)
    assert judged(most, {}, {Probed("clock", "late"): 3.0}, 2)["met"]
    assert not judged(most, {}, {Probed("clock", "late"): 3.1}, 2)["met"]


def test_recovery_is_when_the_rate_is_back() -> None:
    before = [(second / 10, 10 * second) for second in range(101)]  # 100 a second until the kill, at 10
    assert recovery.steady(before) == pytest.approx(100)
    stopped = [(second / 10, 1000) for second in range(101, 131)]
    slow = [(13 + second / 10, 1000 + 5 * second) for second in range(1, 21)]
    again = [(15 + second / 10, 1100 + 10 * second) for second in range(1, 21)]
    assert recovery.back_after(before + stopped + slow, 10, 90) is None
    assert recovery.back_after(before + stopped + slow + again, 10, 90) == pytest.approx(4.8, abs=0.11)


def test_latency_is_from_when_a_line_was_due() -> None:
    many = latency.EACH
    looks = [
        (1.0, {0: many, 1: many, 2: many, 3: 0}),
        (3.0, {0: many * 2, 1: many * 2 - 1, 2: many * 2, 3: many * 2}),
        (4.0, dict.fromkeys(range(4), many * 2)),
    ]
    every = latency.latencies([0.5, 2.0], looks, skip=0)
    assert len(every) == 8 * many
    assert every.count(2.5) == many  # the partition that was late
    assert every.count(2.0) == 1
    assert sorted(set(latency.latencies([0.5, 2.0], looks, skip=1))) == [1.0, 2.0]


def test_a_part_of_the_table_can_be_chosen() -> None:
    known = {each.system for row in ROWS for each in row.measured} | {"faust"}
    whole = plan(None, None, known)
    assert {row.number for row in whole.rows} == set(range(1, 17))
    assert Measured("faust") in whole.measured
    some = plan([2, 16], None, known)
    assert [each.system for each in some.measured] == ["comporta", "bare", "comporta-cassandra"]
    assert some.probes == ["first-line"]
    pair = plan([5, 2], ["comporta", "aiokafka", "faust"], known)
    assert [row.name for row in pair.rows] == ["5 record transform / aiokafka"]
    assert [each.system for each in pair.measured] == ["comporta", "aiokafka", "faust"]
    with pytest.raises(UsageError, match="there is no row 17; there are 1, 2"):
        plan([17], None, known)
    with pytest.raises(UsageError, match="there is no system storms"):
        plan(None, ["storms"], known)
