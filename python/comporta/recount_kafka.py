"""Counting again the records that topics of Kafka still hold of what was consumed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import DescribeConfigsRequest

from comporta import addresses, brokers, kafka_logs
from comporta.addresses import KafkaAddress
from comporta.errors import SourceError
from comporta.kafka_batches import record_batches
from comporta.kafka_logs import Span
from comporta.kafka_records import count_records
from comporta.sinks import Checkpoint
from comporta.sources.contract import Limits
from comporta.sources.kafka.consumer import SlicingFetcher, can_slice
from comporta.sources.kafka.slices import Slice

logger = logging.getLogger(__name__)

PROGRESS_EVERY = 10.0  # seconds
LIMITS = Limits(batch_bytes=1 << 20, max_record=64 << 20)
TOPIC = 2  # the number of this type of resource in Kafka's protocol


def recount(source: str, checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
    """Committed records from each checkpoint's `start` up to its `upto`, by partition.

    Left out are partitions that do not hold all of them: their beginning or end is gone, or their topic is
    compacted, whatever has gone of it by now. A record without a value counts. Raises `SourceError` for a
    topic that is not there; waits for brokers that are away.
    """
    return asyncio.run(_recount(addresses.kafka(source), checkpoints))


async def _recount(address: KafkaAddress, checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
    await brokers.find_topic_ids(address)
    compacted = await _compacted(address)
    for topic in sorted(compacted):
        logger.warning("%s is compacted: what it holds is not all that was consumed", topic)
    wanted = {
        partition: each for partition, each in _places(checkpoints) if partition.topic in address.topics
    }
    for partition in list(wanted):
        if partition.topic in compacted:
            del wanted[partition]
    await _leave_out(address, wanted)
    counter = _Counter({partition: Span(each.start, each.upto) for partition, each in wanted.items()})
    await kafka_logs.read(
        address, counter.spans, counter.take, SourceError, "read_committed", _SlicingConsumer
    )
    await _leave_out(address, wanted)
    return {each.partition: counter.counts[partition] for partition, each in wanted.items()}


def _places(checkpoints: Sequence[Checkpoint]) -> list[tuple[TopicPartition, Checkpoint]]:
    """The checkpoints of partitions of topics, `TOPIC/NUMBER`."""
    named = [(each.partition.rpartition("/"), each) for each in checkpoints]
    return [
        (TopicPartition(topic, int(number)), each) for (topic, _, number), each in named if number.isdecimal()
    ]


async def _leave_out(address: KafkaAddress, wanted: dict[TopicPartition, Checkpoint]) -> None:
    """Forget the partitions that do not reach from `start` to `upto` any more."""
    found = await kafka_logs.bounds(address, list(wanted), SourceError)
    for partition, span in found.items():
        if not span.position <= wanted[partition].start <= wanted[partition].upto <= span.end:
            del wanted[partition]


async def _compacted(address: KafkaAddress) -> Collection[str]:
    """The topics of which only the last record of each key is kept; none where we may not ask."""

    async def work(connection: AIOKafkaConnection) -> Collection[str]:
        resources = [(TOPIC, topic, ["cleanup.policy"]) for topic in address.topics]
        response = await connection.send(DescribeConfigsRequest(resources, False))
        return {
            topic
            for _, _, _, topic, entries in response.resources
            for _, policy, *_ in entries
            if "compact" in (policy or "")
        }

    return await brokers.attempt(address, SourceError, work)


class _Counter:
    """Counts records, and says in the log how far it has come."""

    def __init__(self, spans: Mapping[TopicPartition, Span]) -> None:
        self.spans = spans
        self.counts: Counter[TopicPartition] = Counter()
        self._total = sum(span.end - span.position for span in spans.values())
        self._next_word = time.monotonic() + PROGRESS_EVERY

    def take(self, partition: TopicPartition, record: Any) -> bool:
        end = self.spans[partition].end
        self.counts[partition] += _count(record, end) if isinstance(record, Slice) else 1
        if time.monotonic() >= self._next_word:
            self._next_word = time.monotonic() + PROGRESS_EVERY
            rest = sum(max(0, span.end - span.position) for span in self.spans.values())
            logger.info("recounted %s of %s offsets", f"{self._total - rest:,}", f"{self._total:,}")
        return True


def _count(slice: Slice, end: int) -> int:
    """The records of a slice that are before `end`: as the batches say, if all of them are in the range."""
    if slice.base >= slice.first and slice.next <= end:
        return slice.count
    data = bytes(slice.payload)
    return sum(count_records(data, each, slice.first, end) for each in record_batches(data))


class _SlicingConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer of record batches that nobody decodes, where it can be."""

    _fetcher: Any

    async def start(self) -> None:
        await super().start()
        if can_slice():
            await self._fetcher.close()
            self._fetcher = SlicingFetcher(
                self._client,
                self._subscription,
                fetcher_timeout=self._consumer_timeout,
                retry_backoff_ms=self._retry_backoff_ms,
                auto_offset_reset=self._auto_offset_reset,
                isolation_level=self._isolation_level,
                limits=LIMITS,
                until=lambda _: None,
                is_decoded=lambda _: False,
            )
