"""Where a generation begins to read Kafka: decided once, and kept with the generation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from comporta import brokers
from comporta.addresses import KafkaAddress, kafka
from comporta.errors import SourceError
from comporta.event_time import parse_iso, since_epoch
from comporta.payloads import Origin
from comporta.sinks.contract import REPLAY


def resolve(url: str, start: str) -> Origin:
    """The ids of the topics that a `kafka://` URL names, and the offset that each partition starts at now.

    `start` is `earliest`, `latest` (after the last committed record), or a time in ISO 8601 (UTC if it names
    no zone): the first record of that time or later, or the end. The replay log starts at its beginning.
    Raises `SourceError` in words; waits for brokers that are away.
    """
    address = kafka(url)
    at = _start(start)
    ids = brokers.topic_ids(address)
    starts = asyncio.run(_starts(address, at))
    return Origin(topics=ids, starts=starts | {REPLAY: 0})


def _start(start: str) -> str | int:
    """`earliest`, `latest` or milliseconds since 1970."""
    if start in ("earliest", "latest"):
        return start
    try:
        return since_epoch(parse_iso(start))
    except (ValueError, OverflowError):
        raise SourceError(
            f"the start {start!r} is not earliest, latest or a time, such as 2026-03-01T12:00:00Z"
        ) from None


async def _starts(address: KafkaAddress, at: str | int) -> dict[str, int]:
    consumer = AIOKafkaConsumer(
        *address.topics, **brokers.settings(address), group_id=None, isolation_level="read_committed"
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in address.topics
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        found = await offsets(consumer, partitions, at)
    finally:
        await consumer.stop()
    return {f"{topic}/{number}": offset for (topic, number), offset in sorted(found.items())}


async def offsets(
    consumer: Any, partitions: Iterable[TopicPartition], at: str | int
) -> dict[TopicPartition, int]:
    """The offsets of `earliest`, `latest` or a time in milliseconds since 1970, as `consumer` has them."""
    if at == "earliest":
        return dict(await consumer.beginning_offsets(partitions))
    ends = dict(await consumer.end_offsets(partitions))
    if at == "latest":
        return ends
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, at))
    return {
        partition: min(found[partition].offset, end) if found.get(partition) else end
        for partition, end in ends.items()
    }
