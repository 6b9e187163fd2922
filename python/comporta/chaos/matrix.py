"""The matrix, faults by workloads: what trials have shown so far, kept in a file, and as a table for people.

The file has a JSON object a line for each fault that was injected. What is wrong and names a fault counts
against that one; anything else, wrong numbers above all, against every fault of the trial: it cannot be told
which one it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from comporta.chaos.trial import Trial
from comporta.errors import ComportaError

BEGIN, END = "<!-- matrix: `comporta chaos --record` writes what follows -->", "<!-- end of the matrix -->"


class Cell(NamedTuple):
    """What is known of a fault under a workload: seeds, how many trials held, recoveries in milliseconds."""

    seeds: set[int]
    held: int
    failed: int
    recoveries: list[int]

    def __str__(self) -> str:
        """How the table shows it."""
        count = self.held + self.failed
        text = f"{self.held}/{count}" if self.failed else f"{count}"
        return f"**{text}**" if self.failed else text


def record(path: Path, trial: Trial) -> None:
    """Add what a trial has shown."""
    verdict = trial.verdict
    blamed = {
        injection.label: [words for words in trial.troubles if injection.label in words]
        for injection in trial.injections
    }
    named = [words for found in blamed.values() for words in found]
    is_clear = verdict.is_conserved and not verdict.breaches and set(trial.troubles) <= set(named)
    lines = [
        {
            "system": trial.system,
            "workload": trial.workload,
            "fault": injection.fault,
            "seed": trial.seed,
            "holds": is_clear and not blamed[injection.label],
            "recovery_ms": injection.recovery_ms,
        }
        for injection in trial.injections
    ]
    with path.open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))


def read(path: Path) -> list[dict[str, Any]]:
    """All that a file has. Raises `ComportaError` where it is none of ours."""
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise ComportaError(f"{path} has a line that is no JSON: {error}") from error


def write(page: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Put the tables into a page, between the marks that it has for them. Raises `ComportaError`."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ComportaError(f"{page} has no place for the matrix, between\n{BEGIN}\n{END}")
    page.write_text(f"{before}{BEGIN}\n\n{tables(lines)}\n{END}{after}")


def tables(lines: Sequence[dict[str, Any]]) -> str:
    """A table for each system: a row a fault, a column a workload, and how long recovery took."""
    return "\n".join(part for system in _names(lines, "system") for part in _table(system, lines))


def _table(system: str, lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    mine = [line for line in lines if line["system"] == system]
    workloads = _names(mine, "workload")
    yield f"### {system}\n"
    yield _row(["fault", *workloads, "median, s", "worst, s"])
    yield _row(["---"] * (len(workloads) + 1) + ["---:"] * 2)
    for fault in _names(mine, "fault"):
        of_fault = [line for line in mine if line["fault"] == fault]
        cells = [_cell(line for line in of_fault if line["workload"] == workload) for workload in workloads]
        times = [time for cell in cells if cell for time in cell.recoveries]
        shown = [str(cell) if cell else "" for cell in cells]
        yield _row([f"`{fault}`", *shown, *(_seconds(times, how) for how in (median, max))])
    seeds = {line["seed"] for line in mine}
    failed = sum(not line["holds"] for line in mine)
    count = f"{len(mine):,} faults injected under {len(seeds)} seeds"
    yield f"\n{count}, {failed:,} of them in trials that failed.\n"


def _cell(lines: Iterable[dict[str, Any]]) -> Cell | None:
    found = list(lines)
    if not found:
        return None
    held = sum(line["holds"] for line in found)
    times = [line["recovery_ms"] for line in found if line["recovery_ms"] is not None]
    return Cell({line["seed"] for line in found}, held, len(found) - held, times)


def _names(lines: Iterable[dict[str, Any]], field: str) -> list[str]:
    return sorted({line[field] for line in lines})


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(times: Sequence[int], how: Any) -> str:
    return f"{how(times) / 1000:.1f}" if times else ""
