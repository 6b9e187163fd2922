"""How long after a line was sent it is counted, at a rate that does not wait for anybody."""

from __future__ import annotations

import asyncio
import bisect
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer

from comporta import addresses, brokers
from comporta.bench.job import generate
from comporta.bench.probe import Bench, Loaded, Probe
from comporta.bench.system import Failed
from comporta.bench.systems.comporta import Comporta, IntoCassandra
from comporta.bench.topics import BATCH_BYTES, PARTITIONS
from comporta.chaos.member import Member
from comporta.chaos.positions import CassandraPosition, Durable, SqlitePosition

RATE = 20_000  # lines a second
TICK = 0.01  # seconds between two record batches of a partition
MOST = 100  # ticks whose lines go together
EACH = int(RATE * TICK / PARTITIONS)
WARM_UP = 3.0  # seconds that do not count
SECONDS = 15.0  # that do
BEGIN, SETTLE = 60.0, 30.0
SOONEST = "5ms"  # between two flushes, so that what is folded is seen by what is durable, little later
FLUSH = 1.0  # seconds between two flushes, by default
LOOK = 0.002  # seconds between two looks
LOOK_FAR = 0.008  # into Cassandra, which looking costs more than SQLite, on the cores that are measured


class Latency(Probe):
    """From when a line was due to be sent until it is folded, and until it is to be seen in Cassandra.

    When it is folded is seen by what is durable in SQLite, a little later, with flushes in quick succession.
    """

    name = "latency"
    needs = ("cassandra",)

    def find(self, bench: Bench) -> Mapping[str, float]:
        folded = sorted(_latencies(bench, Comporta(), SOONEST))
        seen = sorted(_latencies(bench, IntoCassandra(), f"{FLUSH:.0f}s"))
        return {
            "median": _percentile(folded, 50) * 1000,
            "p99": _percentile(folded, 99) * 1000,
            "visible": (_percentile(seen, 99) - FLUSH) * 1000,
        }


def _percentile(latencies: list[float], percent: float) -> float:
    return latencies[min(len(latencies) - 1, int(len(latencies) * percent / 100))]


def _latencies(bench: Bench, system: Comporta, flush: str) -> list[float]:
    """The latency of each line that was due after the warm-up, in seconds."""
    topic = f"{bench.folder.name}-latency-{system.name}"
    brokers.ensure_topics(addresses.kafka(f"kafka://{bench.services.kafka}/{topic}"), partitions=PARTITIONS)
    job = bench.job(Loaded(topic, PARTITIONS, 0, Path(), {}), f"latency-{system.name}", system.needs)
    system.prepare(job)
    words = [system.file, *system.source(job), *system.store(job), "--flush-every", flush]
    member = Member("run", words, {}, job.folder)
    position: Callable[[], Durable | None] = SqlitePosition(job.folder / "store.db")
    if system.needs:
        host, _, port = job.cassandra.partition(":")
        keyspace = system.keyspace(job)
        position = CassandraPosition([host], int(port), keyspace, "bench", partitions=PARTITIONS)
    sender = _Sender(bench, topic)
    looks: list[Look] = []
    deadline = time.monotonic() + BEGIN + WARM_UP + SECONDS + SETTLE
    member.start()
    try:
        sender.start()
        while not sender.is_done or not looks or any(at < sender.sent for at in looks[-1][1].values()):
            if durable := position():
                looks.append((time.monotonic(), _by_number(durable)))
                if sum(durable.reached.values()) >= PARTITIONS * EACH:
                    sender.has_begun.set()
            if time.monotonic() > deadline or sender.failure:
                raise Failed(str(sender.failure or "not all lines were counted in time"))
            time.sleep(LOOK_FAR if system.needs else LOOK)
    finally:
        sender.must_end.set()
        sender.join()
        member.stop(at_once=True)
    bench.say(f"{system.title}: lines were sent up to {sender.late * 1000:.0f} ms late, which counts")
    return latencies(sender.due, looks, skip=1 + int(WARM_UP / TICK))


Look = tuple[float, dict[int, int]]
"""A time, and how many lines of each partition were counted then."""


def _by_number(durable: Durable) -> dict[int, int]:
    found = dict.fromkeys(range(PARTITIONS), 0)
    return found | {int(partition.rpartition("/")[2]): at for partition, at in durable.reached.items()}


def latencies(due: Sequence[float], looks: Sequence[Look], skip: int) -> list[float]:
    """How long it was from when each line was due until the first look that found it counted.

    Of each partition, `EACH` lines were due at each time; those of the first ones, so many, do not count.
    """
    found = []
    for partition in range(PARTITIONS):
        rest = iter(looks)
        moment, counts = next(rest)
        for number, time_due in enumerate(due):
            for line in range(number * EACH, (number + 1) * EACH):
                while counts[partition] <= line:
                    moment, counts = next(rest)
                if number >= skip:
                    found.append(moment - time_due)
    return found


class _Sender(threading.Thread):
    """Sends `EACH` lines to each partition once, and again at every tick as soon as `has_begun` is set.

    What is due while a record batch is under way goes with the next one.
    """

    def __init__(self, bench: Bench, topic: str) -> None:
        super().__init__(daemon=True)
        self.due: list[float] = []
        self.late = 0.0
        """How late lines were sent at most, in seconds."""
        self.is_done = False
        self.failure: Exception | None = None
        self.has_begun, self.must_end = threading.Event(), threading.Event()
        self._ticks = 1 + int((WARM_UP + SECONDS) / TICK)
        self._lines = list(generate(bench.seed, self._ticks * PARTITIONS * EACH))
        self._kafka = bench.services.kafka
        self._topic = topic

    @property
    def sent(self) -> int:
        """How many lines went to each partition, once it is done."""
        return len(self.due) * EACH

    def run(self) -> None:
        try:
            asyncio.run(self._send())
        except Exception as error:
            self.failure = error

    async def _send(self) -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=self._kafka, compression_type="lz4", max_batch_size=BATCH_BYTES, acks=1
        ) as producer:
            for partition in range(PARTITIONS):
                await self._to(producer, partition, 0, 1)
            self.due.append(time.monotonic())
            while not self.has_begun.is_set() and not self.must_end.is_set():
                await asyncio.sleep(TICK)
            began = time.monotonic()
            self.due += [began + number * TICK for number in range(1, self._ticks)]
            await asyncio.gather(*(self._keep_to(producer, number) for number in range(PARTITIONS)))
        self.is_done = True

    async def _keep_to(self, producer: AIOKafkaProducer, partition: int) -> None:
        sent = 1
        while sent < self._ticks and not self.must_end.is_set():
            await asyncio.sleep(max(0.0, self.due[sent] - time.monotonic()))
            now = time.monotonic()
            self.late = max(self.late, now - self.due[sent])
            until = min(bisect.bisect_right(self.due, now), sent + MOST)
            await self._to(producer, partition, sent, until)
            sent = max(sent, until)

    async def _to(self, producer: AIOKafkaProducer, partition: int, tick: int, until: int) -> None:
        """Send what is due from one tick until another."""
        if tick >= until:
            return
        batch = producer.create_batch()
        first = partition * self._ticks * EACH
        for line in self._lines[first + tick * EACH : first + until * EACH]:
            batch.append(key=None, value=line, timestamp=None)
        await producer.send_batch(batch, self._topic, partition=partition)
