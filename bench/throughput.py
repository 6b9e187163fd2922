"""Lines a second of the whole embedded pipeline, beside a bare loop of the same transform over the same file.

    python bench/throughput.py [--lines 1000000] [--rounds 3] [--json PATH]

Each round runs, one after the other: a bare Python loop that reads the file, calls the transform and keeps
counters by hand; then `comporta run --until-end` into a new SQLite store with one and with two workers, for
the record transform and for the batch transform. Every run's totals must equal those of the bare loop, or the
benchmark fails. What is printed are medians and ratios to the bare loop: of the whole command, and without
the time that the same command takes for an empty file (starting the release and the interpreters).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("comporta")
EXAMPLES = {"record": ROOT / "examples/access_log.py", "batch": ROOT / "examples/access_log_arrow.py"}


def generate(path: Path, lines: int) -> None:
    sample = (ROOT / "examples/access.log").read_bytes().splitlines(keepends=True)
    with path.open("wb") as file:
        for start in range(0, lines, len(sample)):
            file.writelines(sample[: lines - start])


def bare_loop(path: Path) -> tuple[float, dict[str, int]]:
    spec = importlib.util.spec_from_file_location("access_log", EXAMPLES["record"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started = time.perf_counter()
    statuses: Counter[int] = Counter()
    pages: Counter[str] = Counter()
    visitors = set()
    total = 0
    with path.open("rb") as file:
        for line in file:
            row = module.parse(line.rstrip(b"\r\n"))
            statuses[row["status"]] += 1
            pages[row["path"]] += 1
            visitors.add(row["visitor"])
            total += row["bytes"]
    return time.perf_counter() - started, {str(status): count for status, count in statuses.items()}


def comporta(example: Path, source: Path, workers: int, folder: Path) -> tuple[float, dict[str, int]]:
    store = f"sqlite:{folder}/bench.db"
    for old in folder.glob("bench.db*"):
        old.unlink()
    started = time.perf_counter()
    run = [COMMAND, "run", example, "--source", f"file:{source}", "--store", store]
    subprocess.run(
        [*run, "--workers", str(workers), "--until-end"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    elapsed = time.perf_counter() - started
    query = [COMMAND, "query", example, "requests", "--store", store, "--by", "status", "--format", "json"]
    answer = subprocess.run(query, check=True, capture_output=True, text=True, cwd=folder).stdout
    rows = [json.loads(line) for line in answer.splitlines()]
    return elapsed, {str(row["group"]["status"]): row["value"] for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, empty = folder / "access.log", folder / "empty.log"
        generate(source, args.lines)
        empty.touch()
        runs = {
            f"{kind}, workers: {workers}": (path, workers)
            for kind, path in EXAMPLES.items()
            for workers in (1, 2)
        }
        loops: list[float] = []
        whole: dict[str, list[float]] = {run: [] for run in runs}
        net: dict[str, list[float]] = {run: [] for run in runs}
        for turn in range(args.rounds):
            elapsed, expected = bare_loop(source)
            loops.append(elapsed)
            for run, (path, workers) in runs.items():
                start_up, _ = comporta(path, empty, workers, folder)
                elapsed, totals = comporta(path, source, workers, folder)
                if totals != expected:
                    sys.exit(f"{run}: wrong totals: {totals} instead of {expected}")
                whole[run].append(elapsed)
                net[run].append(elapsed - start_up)
            print(f"round {turn + 1} of {args.rounds} done", file=sys.stderr)
    bare = args.lines / statistics.median(loops)
    print(f"{args.lines:,} lines, {os.cpu_count()} cores, medians of {args.rounds}; ratios to the bare loop")
    print(f"{'bare loop':<20} {bare:>12,.0f} lines/s")
    results = {"lines": args.lines, "cores": os.cpu_count(), "bare_loop": bare, "runs": {}}
    for run in runs:
        rate, rate_whole = (args.lines / statistics.median(times[run]) for times in (net, whole))
        print(
            f"{run:<20} {rate:>12,.0f} lines/s, {rate / bare:.2f} of the bare loop"
            f" (with starting and stopping: {rate_whole:,.0f}, {rate_whole / bare:.2f})"
        )
        results["runs"][run] = {"rate": rate, "ratio": rate / bare, "rate_whole": rate_whole}
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
