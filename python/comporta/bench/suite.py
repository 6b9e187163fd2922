"""A run of the benchmark: services, topics, systems in turn, round by round, and what each of them took."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from comporta.bench import measure, probes, systems
from comporta.bench.job import Totals
from comporta.bench.probe import Bench, Probe
from comporta.bench.rows import Measured, Plan, Probed, judged
from comporta.bench.system import Failed, System, Unavailable
from comporta.catalogue import classes
from comporta.services import SERVICES, Services, folders, ports

SECONDS = 120.0  # that a run may take, and besides
SLOWEST = 2_000  # lines a second
SHOWN = 200  # characters of what a run that failed had to say

Say = Callable[[str], None]


def all_systems() -> dict[str, System]:
    """Every system by its name."""
    return {name: system() for name, system in classes(systems, System).items()}  # type: ignore[type-abstract]


def all_probes() -> dict[str, Probe]:
    """Every probe by its name."""
    return {name: probe() for name, probe in classes(probes, Probe).items()}  # type: ignore[type-abstract]


@dataclass(frozen=True)
class Settings:
    """What is to be run: a plan, on topics of so many `lines` (as often as their load says) from a `seed`."""

    plan: Plan
    lines: int
    rounds: int
    seed: int
    cores: int

    def summary(self) -> dict[str, object]:
        """All but the plan."""
        return {"seed": self.seed, "lines": self.lines, "rounds": self.rounds, "cores": self.cores}


@dataclass
class Taken:
    """What the runs of one system over one load took; `failure` says why there are no more of them."""

    title: str
    lines: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)
    failure: str | None = None

    @property
    def rates(self) -> list[float]:
        """The lines a second of each run."""
        return [self.lines / each for each in self.seconds]

    @property
    def rate(self) -> float | None:
        """The median of them; None where a run failed, or a total was wrong."""
        return statistics.median(self.rates) if self.seconds and not self.failure else None

    def summary(self) -> dict[str, object]:
        """The medians, and how far the runs are apart, as a part of the median."""
        found: dict[str, object] = {"title": self.title, "lines": self.lines, "rate": self.rate}
        if self.rate:
            found |= {
                "spread": (max(self.rates) - min(self.rates)) / self.rate,
                "cpu_seconds_a_million": statistics.median(self.cpu) * 1e6 / self.lines,
                "peak_bytes": int(statistics.median(self.peak)),
                "rates": self.rates,
            }
        return found | {"failure": self.failure}


@dataclass
class Outcome:
    """What a whole run found."""

    settings: Settings
    taken: dict[Measured, Taken] = field(default_factory=dict)
    figures: dict[Probed, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Why a system cannot be had, or a probe found nothing, by its name."""

    @property
    def rows(self) -> list[dict[str, object]]:
        """What it says of each row of the table."""
        rates = {each: taken.rate for each, taken in self.taken.items()}
        known = {each: rate for each, rate in rates.items() if rate is not None}
        return [judged(row, known, self.figures, self.settings.cores) for row in self.settings.plan.rows]

    @property
    def is_right(self) -> bool:
        """Whether every run came to its end, with the right totals."""
        return not any(taken.failure for taken in self.taken.values())


def run(
    settings: Settings,
    say: Say,
    known: Mapping[str, System] | None = None,
    given: Services | None = None,
) -> Outcome:
    """Run everything of the plan, on services of its own if none are `given`, which are up.

    What fails is in the outcome; the rest goes on. Raises `ComportaError`.
    """
    known = all_systems() if known is None else known
    found = all_probes()
    outcome = Outcome(settings)
    plan = settings.plan
    _install(outcome, known, say)
    measured = [each for each in plan.measured if each.system not in outcome.failures]
    for name in plan.probes:
        if name not in found:
            outcome.failures[name] = "there is no such probe"
    probing = [found[name] for name in plan.probes if name in found]
    needs = {"kafka"}.union(*(each.needs for each in probing))
    needs = needs.union(*(known[each.system].needs for each in measured))
    with (
        tempfile.TemporaryDirectory(prefix="comporta-bench-") as name,
        contextlib.nullcontext(given) if given else _services(Path(name, "services"), needs, say) as services,
    ):
        bench = Bench(
            Path(name), services, settings.seed, settings.lines, settings.rounds, settings.cores, say
        )
        _measure(outcome, bench, measured, known)
        for probe in probing:
            _probe(outcome, bench, probe)
    return outcome


def _install(outcome: Outcome, known: Mapping[str, System], say: Say) -> None:
    for name in dict.fromkeys(each.system for each in outcome.settings.plan.measured):
        try:
            if name not in known:
                raise Unavailable("there is no such system")
            known[name].install(folders.make(folders.cache() / "bench"))
        except Unavailable as error:
            outcome.failures[name] = str(error)
            say(f"{name} cannot be had: {error}")


@contextlib.contextmanager
def _services(folder: Path, needs: Collection[str], say: Say) -> Iterator[Services]:
    kafka, cassandra, redis = ports.for_services()
    services = Services(
        folder,
        kafka_port=kafka,
        cassandra_port=cassandra,
        redis_port=redis,
        only=[service for service in SERVICES if service in needs],
        say=say,
    )
    try:
        services.up()
        yield services
    finally:
        services.down(delete=True)


def _measure(
    outcome: Outcome, bench: Bench, measured: Sequence[Measured], known: Mapping[str, System]
) -> None:
    """Run each system once in every round, another one first each time."""
    for each in measured:
        title = known[each.system].title + (f", {each.processes} processes" if each.processes else "")
        outcome.taken[each] = Taken(title, bench.load(each.load).lines)
    for number in range(bench.rounds):
        first = number % max(1, len(measured))
        for each in [*measured[first:], *measured[:first]]:
            taken = outcome.taken[each]
            if not taken.failure:
                _run_one(bench, known[each.system], each, taken, number)
                rate = f"{taken.rates[-1]:,.0f} lines/s" if not taken.failure else taken.failure
                bench.say(f"round {number + 1}: {taken.title}, {each.load.name}: {rate}")


def _run_one(bench: Bench, system: System, measured: Measured, taken: Taken, number: int) -> None:
    loaded = bench.load(measured.load)
    name = f"{loaded.file.stem}-{system.name}-{measured.processes or bench.cores}-{number}"
    job = bench.job(loaded, name, system.needs, measured.processes)
    folder, spent = job.folder, None
    try:
        system.prepare(job)
        spent = measure.run(system.commands(job), folder, SECONDS + job.lines / SLOWEST)
        result = system.result(job, spent)
        if wrong := differences(loaded.totals, result.totals, only_counts=system.only_counts):
            raise Failed(f"disqualified: {wrong}")
        if result.seconds <= 0:
            raise Failed("it took no longer than with nothing to do: give more --lines")
    except Failed as error:
        taken.failure = str(error) if spent else f"{error}{_last_words(folder)}"
    else:
        taken.seconds.append(result.seconds)
        taken.cpu.append(spent.cpu)
        taken.peak.append(spent.peak)
    shutil.rmtree(folder, ignore_errors=True)


def differences(right: Totals, found: Totals, *, only_counts: bool = False) -> str | None:
    """How totals differ from the right ones, in words; None where they do not."""
    lines, wanted = (sum(count for count, _ in totals.values()) for totals in (found, right))
    if lines != wanted:
        return f"{lines:,} lines counted instead of {wanted:,}"
    if only_counts or found == right:
        return None
    group = next(group for group in [*right, *found] if right.get(group) != found.get(group))
    return f"{found.get(group)} for {group} instead of {right.get(group)}"


def _last_words(folder: Path) -> str:
    """What the processes of a run said last."""
    with contextlib.suppress(OSError):
        lines = (folder / "output.log").read_text(errors="replace").split("\n")
        if said := [line.strip() for line in lines if line.strip()]:
            return f": {said[-1][:SHOWN]}"
    return ""


def _probe(outcome: Outcome, bench: Bench, probe: Probe) -> None:
    bench.say(f"probing {probe.name}")
    try:
        figures = probe.find(bench)
    except Failed as error:
        outcome.failures[probe.name] = str(error)
        bench.say(f"{probe.name} failed: {error}")
    else:
        outcome.figures |= {Probed(probe.name, figure): value for figure, value in figures.items()}
