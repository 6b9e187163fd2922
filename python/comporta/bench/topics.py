"""The topics and files that hold a job's lines, made from a seed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaProducer

from comporta import addresses, brokers
from comporta.bench.job import PLAIN, Shape, generate

PARTITIONS = 4
LINGERING = 1000  # records in a record batch, as of a producer that waits for more of them
SENDERS = 4  # producers at once where there is a request for a few records
FEW = 100
BATCH_BYTES = 4 << 20  # at most


class Load(NamedTuple):
    """What is to be counted: lines of a shape, so many times as many as asked for, in so many partitions.

    Record batches hold `each` records, as of producers that linger, or one.
    """

    shape: Shape = PLAIN
    each: int = LINGERING
    share: float = 1.0
    partitions: int = PARTITIONS

    def lines(self, asked: int) -> int:
        """How many lines it has: as many for each partition."""
        return max(1, round(asked * self.share / self.partitions)) * self.partitions

    @property
    def name(self) -> str:
        """What tells it from others, fit for the name of a topic."""
        batches = {1: "single", LINGERING: "lingering"}.get(self.each, f"batches-{self.each}")
        words = [batches, f"{self.share:g}".replace(".", "-")]
        words += [f"paths-{self.shape.paths}"] if self.shape.paths else []
        words += ["ids"] if self.shape.ids else []
        words += [f"length-{self.shape.length}"] if self.shape.length else []
        words += [f"partitions-{self.partitions}"] if self.partitions != PARTITIONS else []
        return "-".join(words)


def make(kafka: str, topic: str, load: Load, seed: int, lines: int, file: Path) -> None:
    """Make a topic and a file of the lines of a load."""
    brokers.ensure_topics(addresses.kafka(f"kafka://{kafka}/{topic}"), partitions=load.partitions)
    with file.open("wb") as out:
        out.writelines(line + b"\n" for line in generate(seed, lines, load.shape))
    asyncio.run(_fill(kafka, topic, load, seed, lines))


async def _fill(kafka: str, topic: str, load: Load, seed: int, lines: int) -> None:
    batches = _batches(generate(seed, lines, load.shape), lines, load)
    senders = [_send(kafka, topic, batches) for _ in range(SENDERS if load.each < FEW else 1)]
    await asyncio.gather(*senders)


def _batches(source: Iterator[bytes], lines: int, load: Load) -> Iterator[tuple[int, list[bytes]]]:
    """Partitions in turn and what goes to them next, until each has as many lines as the others."""
    left = [lines // load.partitions] * load.partitions
    for partition in itertools.cycle(range(load.partitions)):
        if not any(left):
            return
        count = min(load.each, left[partition])
        left[partition] -= count
        if count:
            yield partition, list(itertools.islice(source, count))


async def _send(kafka: str, topic: str, batches: Iterator[tuple[int, list[bytes]]]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="lz4", max_batch_size=BATCH_BYTES, acks=1
    )
    await producer.start()
    try:
        sent = []
        for partition, lines in batches:
            batch = producer.create_batch()
            for line in lines:
                batch.append(key=None, value=line, timestamp=None)
            batch.close()
            sent.append(await producer.send_batch(batch, topic, partition=partition))
            if len(sent) >= LINGERING:
                await asyncio.gather(*sent)
                sent.clear()
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
