"""Topics of Kafka read to where they end now, and messages appended to them: as logs, without a group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from aiokafka.conn import AIOKafkaConnection

from comporta import brokers
from comporta.addresses import KafkaAddress
from comporta.brokers import Failure
from comporta.sources.kafka.slices import Slice

Isolation = Literal["read_committed", "read_uncommitted"]
Message = tuple[bytes, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value and headers."""

Take = Callable[[TopicPartition, Any], bool]
"""What is done with a record, or a `Slice` of undecoded ones; it answers whether reading goes on."""

TIMEOUT_MS = 15_000  # for an answer, for a message to be appended, and without any record
LOOK_EVERY_MS = 200  # how long it takes to see that nothing but marks of transactions came
AT_ONCE = 1_000  # records taken from the consumer, and messages given to the producer
BATCH = 256 << 10  # bytes of messages that are sent together
LARGEST_REQUEST = 4 << 20  # bytes
TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)


@dataclass
class Span:
    """A range of a partition's offsets, of which everything before `position` has been read."""

    position: int
    end: int


async def bounds(
    address: KafkaAddress, partitions: Sequence[TopicPartition], failure: Failure
) -> dict[TopicPartition, Span]:
    """Where these partitions, which exist, begin and end now."""

    async def work(_: AIOKafkaConnection) -> dict[TopicPartition, Span]:
        # One that is given the topics at once knows their leaders, and need not try twice.
        topics = {partition.topic for partition in partitions}
        async with _consumer(address, "read_uncommitted", *topics) as consumer:
            begin = await consumer.beginning_offsets(partitions)
            end = await consumer.end_offsets(partitions)
            return {partition: Span(begin[partition], end[partition]) for partition in partitions}

    if not partitions:
        return {}
    return await brokers.attempt(address, failure, work)


async def read(
    address: KafkaAddress,
    spans: Mapping[TopicPartition, Span],
    take: Take,
    failure: Failure,
    isolation: Isolation = "read_uncommitted",
    consumer_class: type[AIOKafkaConsumer] = AIOKafkaConsumer,
) -> None:
    """Give all records of these spans to `take`, in the order of each partition, and move their positions.

    A `consumer_class` may bring slices where it can; the last one of a span may go beyond its end. The spans
    must not end after their partitions do.
    """

    async def work(_: AIOKafkaConnection) -> None:
        async with _consumer(address, isolation, consumer_class=consumer_class) as consumer:
            try:
                await _read(consumer, spans, take)
            except UnicodeDecodeError as error:
                raise failure(
                    f"a message in {','.join(address.topics)} has a header whose name is not UTF-8: delete it"
                    " with kafka-delete-records.sh, or name another topic"
                ) from error

    if any(span.position < span.end for span in spans.values()):
        await brokers.attempt(address, failure, work)


async def _read(consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span], take: Take) -> None:
    waiting = {partition for partition, span in spans.items() if span.position < span.end}
    consumer.assign(waiting)
    for partition, begin in (await consumer.beginning_offsets(waiting)).items():
        spans[partition].position = max(spans[partition].position, begin)
        consumer.seek(partition, spans[partition].position)
    moved = time.monotonic()
    while waiting := {each for each in waiting if spans[each].position < spans[each].end}:
        found = await consumer.getmany(*waiting, timeout_ms=LOOK_EVERY_MS, max_records=AT_ONCE)
        for partition, records in found.items():
            for record in records:
                is_slice = isinstance(record, Slice)
                if (record.first if is_slice else record.offset) >= spans[partition].end:
                    break
                spans[partition].position = record.next if is_slice else record.offset + 1
                if not take(partition, record):
                    return
        for partition in waiting:
            # Beyond the last record are the marks of transactions, and what compaction has left out.
            position = await consumer.position(partition)
            if position > spans[partition].position or found:
                spans[partition].position = position
                moved = time.monotonic()
        if time.monotonic() - moved > TIMEOUT_MS / 1000:
            raise errors.KafkaTimeoutError("no records come")


async def append(
    address: KafkaAddress, messages: Mapping[int, Message], failure: Failure, partition: int | None = None
) -> set[int]:
    """Append messages, in their order, and wait until all replicas in sync hold them.

    To `partition`, or to those that their keys choose. Returns those that the brokers refuse as too large.
    After an error that was waited out messages may be there twice.
    """
    pending = dict(messages)

    async def work(_: AIOKafkaConnection) -> None:
        # One that is too large has its whole batch refused: what is left of it is sent one by one.
        for batch in (BATCH, 1):
            if pending:
                await _append(address, pending, batch, partition)

    await brokers.attempt(address, failure, work)
    return set(pending)


async def _append(
    address: KafkaAddress, pending: dict[int, Message], batch: int, partition: int | None
) -> None:
    """Send what is pending, and leave in it what is refused as too large."""
    producer = AIOKafkaProducer(
        **brokers.settings(address),
        acks="all",
        max_batch_size=batch,
        max_request_size=LARGEST_REQUEST,
        request_timeout_ms=TIMEOUT_MS,
    )
    async with producer:
        rest = iter(list(pending))
        while numbers := list(islice(rest, AT_ONCE)):
            sent = {}
            for number in numbers:
                key, value, headers = pending[number]
                sent[number] = await producer.send(
                    address.topics[0], value, key=key, headers=headers, partition=partition
                )
            await asyncio.wait(sent.values())
            for number, outcome in sent.items():
                error = outcome.exception()
                if error is None:
                    del pending[number]
                elif not isinstance(error, TOO_LARGE):
                    raise error


def _consumer(
    address: KafkaAddress,
    isolation: Isolation,
    *topics: str,
    consumer_class: type[AIOKafkaConsumer] = AIOKafkaConsumer,
) -> Any:
    return consumer_class(
        *topics,
        **brokers.settings(address),
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="none",
        request_timeout_ms=TIMEOUT_MS,
    )
