"""CPU time that it takes to cut a file's batch into lines: natively, and in Python.

    python bench/lines.py [--lines 4000] [--rounds 30] [--json PATH]

Into the values that a record transform gets, one after another, or into the `pyarrow.RecordBatch` that a
batch transform gets. The lines are those of the benchmark's job (see comporta/bench). Both sides run in each
round, and must come to the same. What is printed are medians, in microseconds a line, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comporta import arrow
from comporta.bench.job import generate
from comporta.native import native
from comporta.native_records import lines_natively
from comporta.records import Batch, Decoded, Lines

SEED = 7
REPEATS = 10  # of a batch in a round

Cut = Callable[[Batch, bytes], "Decoded | None"]


def values(decoded: Decoded) -> Any:
    for _ in decoded.each():
        pass
    return decoded.middle


WORK: dict[str, Callable[[Decoded], Any]] = {"values": values, "arrow": arrow.record_batch}


def timed(cut: Cut, work: Callable[[Decoded], Any], batch: Batch, text: bytes) -> float:
    started = time.process_time()
    for _ in range(REPEATS):
        decoded = cut(batch, text)
        assert decoded is not None
        work(decoded)
    return (time.process_time() - started) / REPEATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if native is None:
        sys.exit("there is no native module here: install Rust, then comporta again")
    text = b"".join(line + b"\n" for line in generate(SEED, args.lines))
    batch = Batch("lines", "file-1", "access.log", 0, 0, len(text), arrival_ms=0)
    sides: dict[str, Cut] = {"Python": Lines, "native": lines_natively}
    made = [cut(batch, text) for cut in sides.values()]
    if None in made or len({(tuple(each.values), tuple(each.offsets)) for each in made if each}) > 1:
        sys.exit("the two do not come to the same")
    times: dict[tuple[str, str], list[float]] = {(into, name): [] for into in WORK for name in sides}
    for _ in range(args.rounds):
        for (into, name), each in times.items():
            each.append(timed(sides[name], WORK[into], batch, text))
    results = {
        into: {name: statistics.median(times[into, name]) / args.lines * 1e6 for name in sides}
        for into in WORK
    }
    print(f"{args.lines:,} lines, medians of {args.rounds}, microseconds of CPU time a line")
    for into, found in results.items():
        ratio = found["Python"] / found["native"]
        print(f"{into:<6} Python {found['Python']:.3f}, native {found['native']:.3f}, ratio {ratio:.2f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
