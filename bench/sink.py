"""Changed rows a second of a flush into Cassandra, beside writing each row by a statement of its own.

    python bench/sink.py --cassandra cassandra://127.0.0.1:9042/bench [--rows N] [--rounds N] [--json PATH]

The keyspace is made if it is not there. Each round runs, one after the other, on the same rows (counts of
one metric by minute and path, in one source partition, of which every row changes in each round): a flush as
Comporta makes it, which writes down what it will change, compares and sets the checkpoint, and applies; and
one prepared upsert for each row, 400 at once, by the driver's own `execute_concurrent_with_args`, into a
table of the same columns. Both are at QUORUM. What is printed are medians and their ratio. The rows
of both are read back and must be as written, or the benchmark fails.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import time
from collections import defaultdict
from dataclasses import replace
from datetime import timezone
from pathlib import Path

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy

from comporta import addresses
from comporta.definition import Definition
from comporta.generations import Generation
from comporta.metrics.contract import MetricDefinition
from comporta.payloads import AssignedPartition
from comporta.sinks import Checkpoint, Snapshot
from comporta.sinks.cassandra import CassandraSink, init
from comporta.sinks.contract import Cell

CONCURRENCY = 400
MINUTES = 5  # that the rows of a flush lie in
METRIC: MetricDefinition = {
    "name": "requests", "kind": "count", "of": None, "by": ["path"], "every": 60, "k": None
}  # fmt: skip


class Flushes:
    """Comporta's own way."""

    def __init__(self, url: str) -> None:
        name = f"bench-{secrets.token_hex(4)}"
        definition = Definition(
            name=name, file="bench", time_format=None, dedup=None, ordered_by=None, late=None, retention=None,
            metrics=[METRIC],
        )  # fmt: skip
        self.sink = CassandraSink(url, None)
        self.generation = Generation(name, definition)
        self.sink.install(self.generation, instead_of=None)
        assigned = AssignedPartition(partition="access/0", shown="access/0", start=0, meta=b"")
        (self.checkpoint,) = self.sink.open(self.generation.id, [assigned])

    def write(self, rows: dict[Cell, int]) -> None:
        before = self.checkpoint
        self.checkpoint: Checkpoint = replace(before, upto=before.upto + 1, flush=secrets.token_hex(8))
        by_bucket: dict[int, dict[str, int]] = defaultdict(dict)
        for (bucket, key), number in rows.items():
            by_bucket[bucket][key] = number
        snapshot = Snapshot(before, self.checkpoint, {"requests": by_bucket}, [], frozenset())
        assert self.sink.flush(self.generation.id, [snapshot]) == [True]

    def read(self) -> dict[Cell, int]:
        found = self.sink.rows(self.generation.id, "requests", None, None)
        return {(bucket, key): state for bucket, key, state in found}


class Upserts:
    """A statement for each row."""

    def __init__(self, url: str) -> None:
        address = addresses.cassandra(url)
        profile = ExecutionProfile(
            TokenAwarePolicy(DCAwareRoundRobinPolicy()), consistency_level=ConsistencyLevel.QUORUM
        )
        cluster = Cluster(
            address.hosts,
            address.port,
            protocol_version=4,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        )
        self.session = cluster.connect(address.keyspace)
        self.session.execute(
            "CREATE TABLE IF NOT EXISTS upserts (generation text, metric text, partition text,"
            " span timestamp, bucket timestamp, key text, number bigint,"
            " PRIMARY KEY ((generation, metric, partition, span), bucket, key))"
        )
        self.place = (secrets.token_hex(8), "requests", "access/0")
        self.upsert = self.session.prepare(
            "INSERT INTO upserts (generation, metric, partition, span, bucket, key, number)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)"
        )

    def write(self, rows: dict[Cell, int]) -> None:
        values = (
            (*self.place, bucket // 3600 * 3_600_000, bucket * 1000, key, number)
            for (bucket, key), number in rows.items()
        )
        for done, result in execute_concurrent_with_args(
            self.session, self.upsert, values, concurrency=CONCURRENCY, results_generator=True
        ):
            assert done, result

    def read(self) -> dict[Cell, int]:
        query = "SELECT bucket, key, number FROM upserts WHERE generation = %s ALLOW FILTERING"
        found = self.session.execute(query, self.place[:1])
        return {
            (int(bucket.replace(tzinfo=timezone.utc).timestamp()), key): number
            for bucket, key, number in found
        }


def rows_of(count: int, number: int) -> dict[Cell, int]:
    start = 1_700_000_000 // 3600 * 3600
    return {
        (start + index % MINUTES * 60, json.dumps([f"/products/{index // MINUTES}/reviews"])): number
        for index in range(count)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cassandra", required=True, metavar="URL")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    init(options.cassandra)
    ways = {"flush": Flushes(options.cassandra), "upserts": Upserts(options.cassandra)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        rows = rows_of(options.rows, 1000 + number)
        for name, way in ways.items():
            started = time.perf_counter()
            way.write(rows)
            if number:  # the first warms everything up
                seconds[name].append(time.perf_counter() - started)
    for name, way in ways.items():
        assert way.read() == rows, f"{name}: other rows came back than were written"
    report = {name: options.rows / statistics.median(times) for name, times in seconds.items()}
    for name, rate in report.items():
        print(f"{name:8} {rate:10,.0f} rows a second")
    report["ratio"] = report["flush"] / report["upserts"]
    print(f"a flush writes {report['ratio']:.1f} times as many")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
