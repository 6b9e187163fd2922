"""CPU time that it takes to gather what a transform makes, and to group it: natively, and in Python.

    python bench/picking.py [--lines 20000] [--rounds 30] [--json PATH]

The rows are those of the benchmark's job (see comporta/bench): a time, a status, a method, and bytes. Making
them is not charged to anybody. Both sides run in each round, and must come to the same. What is printed are
medians, in microseconds a row, and the ratio of the whole.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from comporta.bench.job import generate, parse
from comporta.columns import number_column, text_column
from comporta.native import native
from comporta.picking import NativePicker, Picker, PythonPicker
from comporta.times import Times

FIELDS = ["time", "status", "method", "bytes"]
SEED = 7

Parsed = tuple[int, int, str, int]


def rows(parsed: list[Parsed]) -> Iterator[dict[str, Any]]:
    """New objects each time, as a transform makes them."""
    for minute, status, method, size in parsed:
        yield {"time": minute, "status": status, "method": method[:1] + method[1:], "bytes": size}


def gathered(make: Callable[[list[str]], Picker], parsed: list[Parsed]) -> tuple[list[Any], float, float]:
    """What is made of the rows, and the seconds that it took to pick and to group them."""
    picker = make(FIELDS)
    add = picker.add
    started = time.process_time()
    for row in rows(parsed):
        add(row)
    picked = time.process_time()
    columns = picker.columns()
    made = [
        Times(None).column(columns["time"], refuse).tolist(),
        text_column(columns["status"], refuse),
        text_column(columns["method"], refuse),
        number_column(columns["bytes"], refuse).values.tolist(),
    ]
    grouped = time.process_time()
    return [made[0], made[1].values(), made[2].values(), made[3]], picked - started, grouped - picked


def refuse(row: int, why: str) -> None:
    sys.exit(f"row {row}: {why}")


def making(parsed: list[Parsed]) -> float:
    started = time.process_time()
    for _ in rows(parsed):
        pass
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if native is None:
        sys.exit("there is no native module here: install Rust, then comporta again")
    parsed = list(map(parse, generate(SEED, args.lines)))
    pickers: dict[str, Callable[[list[str]], Picker]] = {"Python": PythonPicker, "native": NativePicker}
    bare: list[float] = []
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pickers}
    for _ in range(args.rounds):
        bare.append(making(parsed))
        made = []
        for name, make in pickers.items():
            found, *took = gathered(make, parsed)
            times[name].append((took[0], took[1]))
            made.append(found)
        if made[0] != made[1]:
            sys.exit("the two do not come to the same")
    results = {}
    for name, each in times.items():
        pick, group = (statistics.median(step) / args.lines * 1e6 for step in zip(*each, strict=True))
        results[name] = {"pick": pick - statistics.median(bare) / args.lines * 1e6, "group": group}
    print(f"{args.lines:,} rows, medians of {args.rounds}, microseconds of CPU time a row")
    for name, steps in results.items():
        print(f"{name:<8} picked {steps['pick']:.3f}, grouped {steps['group']:.3f}")
    whole = {name: sum(steps.values()) for name, steps in results.items()}
    print(f"Python / native {whole['Python'] / whole['native']:.2f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
