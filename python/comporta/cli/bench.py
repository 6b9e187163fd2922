"""`comporta bench`: one job, done by Comporta and by others in the same run, and what each of them took."""

from __future__ import annotations

from pathlib import Path

import click

from comporta.bench import growth as curves
from comporta.bench import report, suite
from comporta.bench.rows import plan
from comporta.cli import options, signals
from comporta.cli import output as written
from comporta.cli.options import option
from comporta.cli.run import cores

IN_CHECKOUT = Path("bench", "results")
ELSEWHERE = Path(".comporta", "bench")
COLUMNS = ("row", "value", "against", "ratio", "target", "met")
SYSTEMS = ("system", "load", "lines/s", "spread", "cpu s/million", "peak MB", "failure")


def _numbers(text: str) -> list[int]:
    if not all(name.isdecimal() for name in options.names(text)):
        raise ValueError(f"{text!r} is no list of rows of the table, such as 2,5")
    return list(map(int, options.names(text)))


@click.command()
@option(
    "rows", type=_numbers, metavar="N,...", help="Only what these rows of the table take.  [default: all]"
)
@option("systems", type=options.names, metavar="NAME,...", help="Only these systems.  [default: all]")
@option("growth", is_flag=True, help="Instead, how the throughput of Comporta grows with what.")
@option("lines", type=click.IntRange(min=1000), default=1_000_000, help="Of the standard topic.")
@option("rounds", type=click.IntRange(min=1), default=3, metavar="N", help="Of all systems in turn.")
@option("seed", type=int, default=1, help="Of the lines.")
@option(
    "output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the results go.  [default: bench/results in a checkout, else .comporta/bench]",
)
@options.format_option("table", "json")
def bench(
    rows: list[int] | None,
    systems: list[str] | None,
    growth: bool,
    lines: int,
    rounds: int,
    seed: int,
    output: Path | None,
    format: str,
) -> int:
    """Measure Comporta beside other systems that do the same job, in turn, on this machine.

    Starts real services, makes topics of access-log lines from a seed, and has each system count them, round
    by round; one whose totals are wrong is disqualified. The results are medians: latest.json has the rows
    of the table, run.json everything, report.html both with pictures. The exit status is 1 where a run failed
    or had wrong totals; targets that are not met, and systems that cannot be installed, are only said.

    With --growth the results are curves along workers, partitions, records in a record batch, groups, bytes
    of a line and backlog, in growth.json and growth.svg.
    """
    known = suite.all_systems()
    if growth and (rows or systems):
        raise click.UsageError("--growth is for Comporta alone: it goes without --rows and --systems")
    chosen = curves.plan() if growth else plan(rows, systems, known)
    signals.end_as_interrupted()
    folder = output or (IN_CHECKOUT if IN_CHECKOUT.parent.is_dir() else ELSEWHERE)
    outcome = suite.run(suite.Settings(chosen, lines, rounds, seed, cores()), _say, known)
    write = curves.write if growth else report.write
    if not write(outcome, folder):
        _say("the report has no pictures: install comporta[chaos] for them")
    _show(outcome, format)
    _say(f"results are in {folder}")
    return 0 if outcome.is_right else 1


def _say(text: str) -> None:
    click.echo(text, err=True)


def _show(outcome: suite.Outcome, format: str) -> None:
    if format == "json":
        written.write_json(outcome.rows)
        return
    written.write_table(SYSTEMS, report.table(outcome))
    if not outcome.rows:
        return
    click.echo()
    written.write_table(COLUMNS, [[_short(row[column]) for column in COLUMNS] for row in outcome.rows])


def _short(value: object) -> written.Value:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return round(value) if abs(value) >= 1000 else round(value, 3)
    return value if isinstance(value, (str, int)) else None
