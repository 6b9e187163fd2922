"""How long a flush into SQLite takes beside a thread that folds all the time, and alone.

    python bench/flushing.py [--rows 100000] [--rounds 3] [--json PATH]

A thread gives the interpreter up at each statement of SQLite, and gets it back when the other one lets go of
it: after 5 ms by Python's default, sooner in the store. Each round writes as many rows, out of five times as
many keys in an order by chance, into a file that has most of them: alone, beside a thread that folds by
Python's default, and beside one by the store's. What is printed are medians, in microseconds a row, and the
ratio of the last two.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from comporta.database import Database
from comporta.sinks.sqlite_rows import write_rows
from comporta.store import SWITCH_EVERY

PLACE = (1, "by_path", 0)
FOLDED = 16_000  # rows of a batch
PYTHONS = sys.getswitchinterval()


@contextmanager
def folding(keys: list[str]) -> Iterator[None]:
    """A thread that looks rows up, as folding a batch does, until the end."""
    is_over = threading.Event()
    rows = dict.fromkeys(keys, 1)

    def fold() -> None:
        while not is_over.is_set():
            list(map(rows.get, keys[:FOLDED]))

    thread = threading.Thread(target=fold)
    thread.start()
    yield
    is_over.set()
    thread.join()


def flush(database: Database, rows: dict[str, int]) -> float:
    """Seconds that writing the rows takes."""
    began = time.perf_counter()
    database.write(lambda connection: write_rows(connection, PLACE, rows))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    chance = random.Random(7)
    keys = [f'["/articles/{number}"]' for number in range(5 * args.rows)]

    def beside(interval: float) -> Callable[[Database, dict[str, int]], float]:
        def run(database: Database, rows: dict[str, int]) -> float:
            sys.setswitchinterval(interval)
            with folding(keys):
                return flush(database, rows)

        return run

    ways = {
        "alone": flush,
        f"beside folding, by {PYTHONS * 1e3:g} ms": beside(PYTHONS),
        f"beside folding, by {SWITCH_EVERY * 1e3:g} ms": beside(SWITCH_EVERY),
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder, "store.db"), create=True, durable=True)
        for _ in range(5):
            flush(database, dict.fromkeys(chance.sample(keys, args.rows), 1))
        for number in range(args.rounds):
            for way, run in ways.items():
                seconds = run(database, dict.fromkeys(chance.sample(keys, args.rows), number))
                found[way].append(seconds * 1e6 / args.rows)
    medians = {way: statistics.median(each) for way, each in found.items()}
    for way, median in medians.items():
        print(f"{way:32}{median:8.2f} us a row")
    _, slow, quick = medians.values()
    print(f"the shorter interval makes it {slow / quick:.1f} times as fast beside folding")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
