"""How long it takes from the command to the first line that is processed, on a file into SQLite."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

from comporta.bench import measure
from comporta.bench.job import generate
from comporta.bench.probe import Bench, Probe
from comporta.bench.system import Failed
from comporta.chaos.member import COMMAND

PIPELINE = Path(__file__).resolve().parents[1] / "pipelines" / "first_line.py"
VARIABLE = "COMPORTA_BENCH_FIRST_LINE"
LINES = 1000
SECONDS = 120.0


class FirstLine(Probe):
    """The transform writes down when it was first called."""

    name = "first-line"

    def find(self, bench: Bench) -> Mapping[str, float]:
        return {"seconds": statistics.median(_once(bench, number) for number in range(bench.rounds))}


def _once(bench: Bench, number: int) -> float:
    folder = bench.folder / f"first-line-{number}"
    folder.mkdir()
    file, written = folder / "access.log", folder / "first"
    file.write_bytes(b"".join(line + b"\n" for line in generate(bench.seed, LINES)))
    words = [
        *COMMAND,
        "run",
        str(PIPELINE),
        "--source",
        f"file:{file}",
        "--store",
        f"sqlite:{folder}/store.db",
    ]
    spent = measure.run([[*words, "--until-end"]], folder, SECONDS, {VARIABLE: str(written)})
    try:
        return float(written.read_text()) - spent.began
    except (OSError, ValueError):
        raise Failed("no line was processed") from None
