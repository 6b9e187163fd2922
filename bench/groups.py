"""CPU time of each step of the way of many groups, beside counting them by hand into SQLite.

    python bench/groups.py [--lines 400000] [--rounds 3] [--every] [--cassandra URL [--pid PID]] [--json PATH]

A worker's and a store's work, in one process and without the BEAM between them: batches of lines are
transformed, summed up and packed, then unpacked and folded, and flushed every so many batches. By default,
each line is of a path of its own, which is a group for all time; with `--every`, there are 5,000 paths, each
of which is a group of each minute. Rows go into a new SQLite file, or into a keyspace of Cassandra, which is
made if it is not there; with the PID of Cassandra, its CPU time is a step, too.

Each round runs the same lines through a loop beside it, which keeps one dict of counts for each partition by
hand and writes what changed by `INSERT ... ON CONFLICT`. Both must come to the same rows, or the benchmark
fails. What is printed are medians of the rounds, in microseconds for each delta: a group of a batch.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import comporta as c
from comporta import payloads
from comporta.bench.job import Shape, generate
from comporta.bench.measure import cpu
from comporta.bench.pipelines import row_with_path
from comporta.computation import Computation
from comporta.fold import Fold
from comporta.forgotten import Forgotten
from comporta.generations import Generation
from comporta.metrics import from_definition
from comporta.payloads import AssignedPartition
from comporta.records import Batch
from comporta.sinks import Checkpoint, Ledger, Sink, open_sink
from comporta.sinks.cassandra import init

PARTITIONS = 4
LINES = 16_000  # of a batch
FLUSH = 8  # batches from one flush to the next: about a second's
PATHS = 5_000
SEED = 7

Steps = dict[str, float]
Batches = list[tuple[int, bytes]]
Rows = dict[tuple[int, str], int]


class Clock:
    """CPU seconds of this process, and of another one, by step."""

    def __init__(self, pid: int | None) -> None:
        self.steps: Steps = defaultdict(float)
        self._pid = pid

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began, other = time.process_time(), self._other()
        yield
        self.steps[name] += time.process_time() - began
        if self._pid:
            self.steps["Cassandra"] += self._other() - other

    def _other(self) -> float:
        return cpu(self._pid) if self._pid else 0.0


def pipeline_of(every: str | None) -> c.Pipeline:
    pipeline = c.Pipeline(
        f"bench-{secrets.token_hex(4)}", metrics=[c.count("by_path", by=["path"], every=every)]
    )
    pipeline.transform(row_with_path)
    return pipeline


def batches_of(lines: int, paths: int) -> Batches:
    """Lines in batches, each of which is of a partition."""
    made = list(generate(SEED, lines, Shape(paths=paths)))
    chunks = [made[start : start + LINES] for start in range(0, lines, LINES)]
    return [(number % PARTITIONS, b"\n".join(chunk) + b"\n") for number, chunk in enumerate(chunks)]


def through_comporta(
    url: str, every: str | None, batches: Batches, pid: int | None
) -> tuple[Steps, Rows, int]:
    clock, deltas = Clock(pid), 0
    pipeline = pipeline_of(every)
    computation = Computation(pipeline)
    sink = open_sink(url, create=True)
    generation = Generation(pipeline.name, pipeline.definition())
    sink.install(generation, instead_of=None)
    metrics = {each["name"]: from_definition(each) for each in generation.definition.metrics}
    forgotten = Forgotten()
    folds = [
        Fold(sink, generation.id, opened, metrics, forgotten) for opened in checkpoints(sink, generation.id)
    ]
    for number, (partition, lines) in enumerate(batches):
        fold = folds[partition]
        first, upto = fold.position, fold.position + len(lines)
        with clock.step("worker: transform and sum up"):
            batch = Batch("lines", str(partition), "", base=first, first=first, next=upto, arrival_ms=0)
            decoded = computation.decode(batch, lines)
            outcome = computation.run(decoded, lambda claims: bytes(len(claims)))
        with clock.step("worker: pack"):
            packed = payloads.pack(outcome.result)
        deltas += outcome_deltas(outcome.result)
        del decoded, outcome
        with clock.step("store: unpack"):
            result = payloads.unpack(packed)
        with clock.step("store: fold"):
            fold.fold(upto, b"", Ledger(consumed=1, counted=1), result, len(packed))
        del result
        if number % FLUSH == FLUSH - 1 or number == len(batches) - 1:
            flush(sink, generation.id, folds, clock)
    found = sink.rows(generation.id, "by_path", None, None)
    rows: Rows = defaultdict(int)
    for bucket, key, count in found:
        rows[bucket, json.loads(key)[0]] += count
    sink.close()
    return clock.steps, rows, deltas


def outcome_deltas(result: payloads.Result) -> int:
    return sum(len(columns["deltas"]) for columns in result["metrics"].values())


def checkpoints(sink: Sink, generation: str) -> list[Checkpoint]:
    assigned = [
        AssignedPartition(partition=str(number), shown="", start=0, meta=b"") for number in range(PARTITIONS)
    ]
    return sink.open(generation, assigned)


def flush(sink: Sink, generation: str, folds: list[Fold], clock: Clock) -> None:
    with clock.step("store: snapshot"):
        taken = [(fold, snapshot) for fold in folds if (snapshot := fold.snapshot())]
    with clock.step("store: flush"):
        assert all(sink.flush(generation, [snapshot for _, snapshot in taken]))
    for fold, snapshot in taken:
        fold.decided(snapshot)


def by_hand(path: Path, every: str | None, batches: Batches) -> tuple[Steps, Rows]:
    clock = Clock(None)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE rows (partition, bucket, key, state, PRIMARY KEY (partition, bucket, key))"
        " WITHOUT ROWID"
    )
    counts: list[Rows] = [defaultdict(int) for _ in range(PARTITIONS)]
    dirty: list[set[tuple[int, str]]] = [set() for _ in range(PARTITIONS)]
    for number, (partition, lines) in enumerate(batches):
        held, changed = counts[partition], dirty[partition]
        with clock.step("by hand: transform"):
            rows = [row_with_path(line) for line in lines.splitlines()]
        with clock.step("by hand: count"):
            for row in rows:
                group = row["time"] if every else 0, row["path"]
                held[group] += 1
                changed.add(group)
        if number % FLUSH == FLUSH - 1 or number == len(batches) - 1:
            with clock.step("by hand: write"):
                connection.execute("BEGIN IMMEDIATE")
                for partition, changed in enumerate(dirty):
                    connection.executemany(
                        "INSERT INTO rows VALUES (?, ?, ?, ?)"
                        " ON CONFLICT DO UPDATE SET state = excluded.state",
                        ((partition, *group, counts[partition][group]) for group in changed),
                    )
                    changed.clear()
                connection.execute("COMMIT")
    connection.close()
    whole: Rows = defaultdict(int)
    for partition_counts in counts:
        for group, count in partition_counts.items():
            whole[group] += count
    return clock.steps, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--cassandra", metavar="URL")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    every = "1m" if options.every else None
    batches = batches_of(options.lines, PATHS if every else options.lines)
    if options.cassandra:
        init(options.cassandra)
    rounds: list[Steps] = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            url = options.cassandra or f"sqlite:{name}/store.db"
            steps, rows, deltas = through_comporta(url, every, batches, options.pid)
            hand, right = by_hand(Path(name, "hand.db"), every, batches)
        assert rows == right, "other rows came back than were counted by hand"
        rounds.append({**steps, **hand})
    medians = {step: statistics.median(each[step] for each in rounds) for step in rounds[0]}
    print(
        f"{options.lines:,} lines, {deltas:,} deltas, {len(rows):,} groups;"
        f" CPU us a delta, medians of {options.rounds}"
    )
    for step, seconds in medians.items():
        print(f"{step:32} {seconds * 1e6 / deltas:8.3f}")
    whole, hand_whole = (
        sum(seconds for step, seconds in medians.items() if step.startswith("by hand") == is_hand)
        for is_hand in (False, True)
    )
    print(f"{'Comporta':32} {whole * 1e6 / deltas:8.3f}")
    print(f"{'by hand':32} {hand_whole * 1e6 / deltas:8.3f}")
    print(f"Comporta takes {whole / hand_whole:.2f} times as much as counting by hand")
    if options.json:
        options.json.write_text(json.dumps({"deltas": deltas, "seconds": medians}, indent=1) + "\n")


if __name__ == "__main__":
    main()
