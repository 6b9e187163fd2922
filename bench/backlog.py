"""Memory under a backlog: what each process of a run takes while the store is away, beside its bound.

    python bench/backlog.py [--lines 10000000] [--away 120] [--workers 2] [--json PATH]

Starts a Kafka and a Cassandra of its own, fills a topic of 4 partitions with lines of the example's access
log (lz4, batches of 2,000), and has `comporta run` count them with the example's transform, all settings at
their defaults. As soon as it works, Cassandra is frozen for `--away` seconds, then woken; it goes on to the
end. The totals must be right and the ledger balanced, or the benchmark fails. What is printed is, for each
process, the resident memory when it had begun and the most that it ever had; of workers, the largest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from comporta.chaos.processes import resident, role, tree
from comporta.services import Services, ports

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).with_name("comporta")
EXAMPLE = ROOT / "examples/access_log.py"
PARTITIONS = 4
BATCH = 2000
MIB = 1 << 20


@contextmanager
def services() -> Iterator[Services]:
    with tempfile.TemporaryDirectory() as folder:
        kafka, cassandra, _redis = ports.for_services()
        found = Services(folder, kafka_port=kafka, cassandra_port=cassandra, only=["kafka", "cassandra"])
        try:
            found.up()
            yield found
        finally:
            found.down(delete=True)


async def fill(server: str, lines: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    await admin.create_topics([NewTopic("backlog", PARTITIONS, 1)])
    await admin.close()
    sample = (ROOT / "examples/access.log").read_bytes().splitlines()
    producer = AIOKafkaProducer(bootstrap_servers=server, compression_type="lz4", max_batch_size=4 * MIB)
    await producer.start()
    sent = 0
    for number in range(-(-lines // BATCH)):
        batch = producer.create_batch()
        for _ in range(min(BATCH, lines - sent)):
            batch.append(key=None, value=sample[sent % len(sample)], timestamp=None)
            sent += 1
        await producer.send_batch(batch, "backlog", partition=number % PARTITIONS)
    await producer.stop()


class Watch:
    """The resident bytes of each process of a run: when it was first seen to be ready, and the most."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.first: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def look(self) -> None:
        seen: dict[str, int] = {}
        for pid, line in tree(self._root).items():
            part, size = role(line), resident(pid)
            if part and size:
                seen[part] = max(seen.get(part, 0), size)
        for part, size in seen.items():
            self.most[part] = max(self.most.get(part, 0), size)

    def ready(self) -> None:
        self.first = dict(self.most)

    def during(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--away", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with services() as found, tempfile.TemporaryDirectory() as folder:
        places = [
            "--source",
            f"kafka://{found.kafka}/backlog",
            "--store",
            f"cassandra://{found.cassandra}/backlog",
        ]
        begun = time.monotonic()
        asyncio.run(fill(found.kafka, args.lines))
        print(f"{args.lines:,} lines sent in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        subprocess.run([COMMAND, "init", EXAMPLE, *places], check=True, cwd=folder, stdout=subprocess.DEVNULL)
        begun = time.monotonic()
        words: list[str | Path] = [
            COMMAND,
            "run",
            EXAMPLE,
            *places,
            "--workers",
            str(args.workers),
            "--until-end",
        ]
        with (Path(folder) / "run.log").open("w") as log:
            run = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
        watch = Watch(run.pid)
        while not {"beam", "source", "store", "worker"} <= watch.most.keys():
            watch.during(0.1)
        watch.during(3.0)
        watch.ready()
        cassandra = found.node("cassandra")
        cassandra.stop()
        watch.during(args.away)
        cassandra.resume()
        print(f"the store was away for {args.away:.0f} s", file=sys.stderr)
        while run.poll() is None:
            watch.during(0.5)
        elapsed = time.monotonic() - begun
        if run.returncode:
            sys.exit(f"the run ended with {run.returncode}: {(Path(folder) / 'run.log').read_text()[-2000:]}")
        check(places, folder, args.lines)
    print(f"{args.lines:,} lines counted in {elapsed:.0f} s, of which the store was away {args.away:.0f}")
    print(f"{'':<10}{'ready, MiB':>12}{'most, MiB':>12}")
    for part, most in sorted(watch.most.items()):
        print(f"{part:<10}{watch.first.get(part, 0) / MIB:>12,.0f}{most / MIB:>12,.0f}")
    if args.json:
        result = {"lines": args.lines, "away": args.away, "ready": watch.first, "most": watch.most}
        args.json.write_text(json.dumps(result, indent=2) + "\n")


def check(places: list[str], folder: str, lines: int) -> None:
    asked: list[str | Path] = [COMMAND, "query", EXAMPLE, "requests", *places[2:], "--format", "json"]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True, cwd=folder).stdout
    counted = sum(json.loads(line)["value"] for line in answer.splitlines())
    if counted != lines:
        sys.exit(f"{counted:,} lines were counted instead of {lines:,}")
    judged: list[str | Path] = [COMMAND, "audit", EXAMPLE, *places]
    audited = subprocess.run(judged, cwd=folder, capture_output=True, text=True)
    if audited.returncode:
        sys.exit(f"the ledger does not balance: {audited.stderr}")


if __name__ == "__main__":
    main()
