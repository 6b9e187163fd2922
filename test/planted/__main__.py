"""Plant each mistake in a copy of the code, and run `comporta chaos` on it until it is found.

    python test/planted [--seeds N] [NAME ...]

A row for each: whether it was found, in how many trials, and by what. The exit status is 1 unless all were.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mistakes import MISTAKES, Mistake

from comporta.services import Services, ports

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "from comporta.cli import main; main()")
MINUTES = "1.5"  # of a trial


def main() -> int:
    """Find them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *(mistake.name for mistake in MISTAKES)])
    parser.add_argument("--seeds", type=int, default=8, help="trials of a mistake at the most")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and the services end, too
    wanted = [mistake for mistake in MISTAKES if not given.names or mistake.name in given.names]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        services = _services(Path(folder) / "services")
        if not all(mistake.own for mistake in wanted):
            services.up()
        try:
            print("| mistake | found after | how |\n| --- | --- | --- |", flush=True)
            for mistake in wanted:
                found = _find(mistake, Path(folder), services, given.seeds)
                missed += found is None
                seed, how = found or (given.seeds, "**not found**")
                trials = "1 trial" if seed == 1 else f"{seed} trials"
                print(f"| {mistake.what} | {trials} | {how} |", flush=True)
        finally:
            services.down(delete=True)
    return 1 if missed else 0


def _find(mistake: Mistake, folder: Path, services: Services, seeds: int) -> tuple[int, str] | None:
    """The seed that found it, and how; None where none did."""
    copy = folder / mistake.name
    shutil.copytree(ROOT / "python" / "comporta", copy / "comporta")
    mistake.plant(copy / "comporta")
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "COMPORTA_RELEASE": str(ROOT / "_build" / "prod" / "rel" / "comporta"),
    }
    for seed in range(1, seeds + 1):
        words = ["chaos", "--seed", seed, "--minutes", MINUTES]
        words += [] if mistake.own else ["--services", services.folder]
        words += ["--workloads", mistake.workload, "--faults", mistake.faults]
        words += ["--folder", copy / str(seed), "--format", "json"]
        outcome = _run([*COMMAND, *map(str, words)], environment)
        if outcome["lost"] or outcome["doubled"]:
            return seed, f"{outcome['lost']:,} lost, {outcome['doubled']:,} doubled"
        if outcome["wrong"]:
            return seed, outcome["wrong"][0][:100]
    return None


def _run(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The last object that `comporta chaos` writes. It is ended with this program, and ends what it began."""
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            written, said = running.communicate()
        finally:
            running.terminate()
    if running.returncode not in (0, 1):
        raise SystemExit(f"comporta chaos ended with {running.returncode}:\n{said}")
    outcome: dict[str, Any] = json.loads(written.splitlines()[-1])
    return outcome


def _services(folder: Path) -> Services:
    kafka, cassandra, redis = ports.for_services()
    return Services(folder, kafka_port=kafka, cassandra_port=cassandra, redis_port=redis)


if __name__ == "__main__":
    sys.exit(main())
