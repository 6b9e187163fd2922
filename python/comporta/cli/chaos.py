"""`comporta chaos`: break things on purpose, and show that nothing was lost or counted twice."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from comporta.chaos import catalogue, matrix
from comporta.chaos.suite import Settings, trials
from comporta.chaos.trial import Trial, by_fault
from comporta.chaos.workload import SYSTEMS, Kind
from comporta.cli import options, output, signals
from comporta.cli.options import option

RECOVERY = ("fault", "times", "median_ms", "worst_ms", "never", "stopped_ms")


@click.command()
@option("system", type=click.Choice(SYSTEMS), default="cluster", help="What is put to the test.")
@option("seed", type=int, help="Repeats the schedule of an earlier run.  [default: by chance]")
@option("minutes", type=click.FloatRange(min=0.0), default=5.0, help="For all workloads together.")
@option("faults", type=options.names, metavar="NAME,...", help="Only these.  [default: all]")
@option("workloads", type=options.names, metavar="NAME,...", help="Only these.  [default: all]")
@option("rounds", type=click.IntRange(min=1), metavar="N", help="End once each fault has had N turns.")
@option("each", is_flag=True, help="Instead, kill -9 each process of the system once.")
@option(
    "services",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="A folder of services that are up.  [default: new ones, ended afterwards]",
)
@option(
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where logs, reports and timelines go.  [default: .comporta/chaos/SEED]",
)
@option(
    "record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add what is shown to this file, JSON a line; the page beside it that ends in .md gets the matrix.",
)
@options.format_option("table", "json")
def chaos(
    system: Kind,
    seed: int | None,
    minutes: float,
    faults: list[str] | None,
    workloads: list[str] | None,
    rounds: int | None,
    each: bool,
    services: Path | None,
    folder: Path | None,
    record: Path | None,
    format: str,
) -> int:
    """Inject faults while events are counted, then judge: was each counted exactly once?

    Starts real services (unless --system is embedded, or --services names some that are up), releases that
    count a workload, and a producer that notes what was acknowledged; injects faults one after another, waits
    each time until everything is durable again; then compares what was counted with what was acknowledged.
    The exit status is 1 unless nothing was lost, nothing doubled, all else is right, and it came to its end.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    settings = Settings(
        system,
        catalogue.chosen(workloads, catalogue.all_workloads(), system),
        catalogue.chosen(faults, catalogue.all_faults(), system),
        seed,
        minutes,
        (folder or Path(".comporta", "chaos", str(seed))).absolute(),
        rounds,
        services,
        each,
    )
    if settings.folder.exists() and any(settings.folder.iterdir()):
        raise click.UsageError(f"{settings.folder} has something in it: name another --folder")
    if record and not record.parent.is_dir():
        raise click.UsageError(f"--record {record}: there is no folder {record.parent}")
    signals.end_as_interrupted()
    is_json = format == "json"
    say = _say_json if is_json else _say
    say("seed", {"seed": seed})
    done = []
    for trial in trials(settings, say):
        done.append(trial)
        if record:
            matrix.record(record, trial)
        if not is_json:
            _conclude(trial)
    if record and (page := record.with_suffix(".md")).exists():
        matrix.write(page, matrix.read(record))
    if is_json:
        output.write_json([summary(seed, done)])
    else:
        _show_recoveries(done)
    return 0 if all(trial.holds for trial in done) else 1


def summary(seed: int, done: Sequence[Trial]) -> dict[str, Any]:
    """The last object of `--format json`."""
    return {
        "seed": seed,
        "acknowledged": sum(trial.acknowledged for trial in done),
        "lost": sum(trial.verdict.lost for trial in done),
        "doubled": sum(trial.verdict.doubled for trial in done),
        "passed": sum(trial.verdict.passed for trial in done),
        "balanced": all(trial.verdict.is_balanced for trial in done),
        "recovery_ms": {name: [each.recovery_ms for each in found] for name, found in by_fault(done).items()},
        "stopped_ms": {name: [each.stopped_ms for each in found] for name, found in by_fault(done).items()},
        "wrong": [f"{trial.workload}: {words}" for trial in done for words in wrong(trial)],
    }


def wrong(trial: Trial) -> list[str]:
    """What does not hold, in words."""
    return [*trial.verdict.breaches, *trial.troubles]


def _say_json(what: str, figures: dict[str, Any]) -> None:
    output.write_json([{"event": what, **figures}])


WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "seed": lambda figures: f"seed {figures['seed']}",
    "trial": lambda figures: f"{figures['workload']} on {figures['system']}, in {figures['folder']}",
    "fault": lambda figures: f"{figures['at']:8.1f} s  {figures['fault']}: {figures['target']}",
    "recovered": lambda figures: (
        f"{'':12}all durable again after {figures['after_ms'] / 1000:.1f} s,"
        f" stopped for {figures['stopped_ms'] / 1000:.1f} s at most"
    ),
    "settling": lambda figures: f"{figures['at']:8.1f} s  no more faults: settling",
    "note": lambda figures: figures["text"],
}


def _say(what: str, figures: dict[str, Any]) -> None:
    click.echo(WORDS[what](figures))


def _conclude(trial: Trial) -> None:
    verdict = trial.verdict
    conserved = f"{trial.acknowledged:,} acknowledged, {verdict.lost:,} lost, {verdict.doubled:,} doubled"
    balanced = "the ledger balances" if verdict.is_balanced else "the ledger does not balance"
    troubles = "; ".join(trial.troubles)
    if verdict.passed:
        conserved += f", {verdict.passed:,} duplicates counted again as claims were lost, which was said"
    lines = [
        (verdict.is_conserved, "conservation", f"{conserved}; {balanced}"),
        (not verdict.breaches, "integrity", "; ".join(verdict.breaches) or "all metrics are right"),
        (not troubles, "liveness", troubles or f"{len(trial.injections)} faults recovered from"),
    ]
    for holds, name, words in lines:
        click.echo(f"{'holds' if holds else 'FAILS':>6}  {name}: {words}")


def _show_recoveries(done: Sequence[Trial]) -> None:
    rows: list[list[output.Value]] = []
    for fault, found in by_fault(done).items():
        times = [each.recovery_ms for each in found]
        known = [time for time in times if time is not None]
        rows.append(
            [
                fault,
                len(times),
                round(median(known)) if known else None,
                max(known, default=None),
                len(times) - len(known),
                max(each.stopped_ms for each in found),
            ]
        )
    if rows:
        output.write_table(RECOVERY, rows)
