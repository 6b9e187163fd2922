"""Reading what is assigned: from the consumer into the inbox, and no faster than that is emptied."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiokafka import errors
from aiokafka.structs import ConsumerRecord, TopicPartition

from comporta.errors import SourceError
from comporta.sources.contract import Batch, Limits
from comporta.sources.kafka.answers import RETRY, Answers
from comporta.sources.kafka.bounds import within
from comporta.sources.kafka.consumer import Consumer
from comporta.sources.kafka.decoded import batches, replayed
from comporta.sources.kafka.inbox import Inbox
from comporta.sources.kafka.origin import offsets
from comporta.sources.kafka.slices import Slice
from comporta.sources.kafka.topics import Topics

logger = logging.getLogger(__name__)

POLL = 0.2  # seconds that one look for something fetched takes at most


class Reading:
    """Reads partitions as the inbox has them, up to `ends` where those are given.

    `pipeline` and `generation` are those whose letters in the replay log count.
    """

    def __init__(
        self,
        consumer: Consumer,
        inbox: Inbox,
        topics: Topics,
        answers: Answers,
        ends: dict[TopicPartition, int],
        limits: Limits,
        pipeline: str,
        generation: str,
    ) -> None:
        self._consumer = consumer
        self._inbox = inbox
        self._topics = topics
        self._answers = answers
        self._ends = ends
        self._limits = limits
        self._pipeline = pipeline
        self._generation = generation
        self._room = asyncio.Event()
        self._is_paused = False

    def go_on(self) -> None:
        """There is room in the inbox again."""
        self._room.set()

    async def run(self) -> None:
        """Read for ever. Raises `SourceError` where that cannot go on."""
        while True:
            if self._inbox.is_full():
                if not self._is_paused:
                    self._is_paused = True
                    self._consumer.pause(*self._consumer.assignment())
                self._consumer.touch()
                self._room.clear()
                await within(self._room.wait(), POLL)
                continue
            if self._is_paused:
                self._is_paused = False
                for partition in self._consumer.assignment():
                    self._resume(partition)
            try:
                fetched = await self._consumer.getmany(timeout_ms=int(POLL * 1000))
            except errors.OffsetOutOfRangeError as error:
                for partition, offset in error.args[0].items():
                    await self._out_of_range(partition, offset)
            except errors.KafkaError as error:
                await self._failed(error)
            else:
                for partition, items in fetched.items():
                    self._take(partition, items)
                self._take_gaps()

    def follow(self, name: str) -> None:
        """Read a partition from where it was sought to, if it is assigned."""
        partition = self._topics.partition(name)
        position = self._inbox.position(name)
        if position is not None and partition in self._consumer.assignment():
            offset, seek = position
            self._consumer.seek(partition, offset)
            self._inbox.followed(name, seek)
            self._resume(partition)

    def _take(self, partition: TopicPartition, items: Sequence[Slice | ConsumerRecord]) -> None:
        name = self._topics.name(partition)
        if items and isinstance(items[0], Slice):
            for item in items:
                self._inbox.put(
                    Batch(
                        partition=name,
                        shown=name,
                        format="kafka",
                        base=item.base,
                        first=item.first,
                        next=item.next,
                        count=item.count,
                        payload=item.payload,
                    )
                )
        else:
            self._take_records(partition, items)
        if (highwater := self._consumer.highwater(partition)) is not None:
            self._inbox.note_highwaters({name: highwater})
        self._resume(partition)

    def _take_records(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Take what was decoded between where the partition was fetched to, and where it is now."""
        name = self._topics.name(partition)
        position = self._inbox.position(name)
        next = self._consumer.reached(partition)
        if position is None or next is None or next <= position[0]:
            return
        end = self._ends.get(partition)
        if end is not None and end < next:
            records, next = [record for record in records if record.offset < end], end
        made = (
            replayed(records, position[0], next, self._pipeline, self._generation)
            if self._topics.is_replay(partition)
            else batches(name, records, position[0], next, self._limits)
        )
        for batch in made:
            self._inbox.put(batch)

    def _take_gaps(self) -> None:
        """Move positions on where only what is no record was fetched, and decoded away."""
        for partition in self._consumer.assignment():
            if self._consumer.decodes(partition):
                self._take_records(partition, [])

    def _resume(self, partition: TopicPartition) -> None:
        """Fetch a partition, or not: not yet, or no more."""
        position = self._inbox.position(self._topics.name(partition))
        end = self._ends.get(partition)
        if position is None or (end is not None and position[0] >= end) or self._is_paused:
            self._consumer.pause(partition)
        else:
            self._consumer.resume(partition)

    async def _out_of_range(self, partition: TopicPartition, asked: int) -> None:
        name = self._topics.name(partition)
        begins = await self._answers.of(lambda: offsets(self._consumer, [partition], "earliest"))
        ends = await self._answers.of(lambda: offsets(self._consumer, [partition], "latest"))
        begin, end = begins[partition], ends[partition]
        if asked > end:
            await self._topics.check({})
            raise SourceError(beyond(name, asked, end))
        if asked < begin and self._inbox.put(_lost(name, asked, begin)):
            logger.error(
                "%s: %d offsets, from %d up to %d, are lost: Kafka deleted them before they were processed;"
                " longer retention of the topic would have kept them",
                name,
                begin - asked,
                asked,
                begin,
            )
        self.follow(name)

    async def _failed(self, error: errors.KafkaError) -> None:
        """Say what cannot be mended, and wait a moment for everything else."""
        if isinstance(error, (errors.GroupAuthorizationFailedError, errors.TopicAuthorizationFailedError)):
            raise SourceError(
                f"Kafka at {self._topics.servers} does not allow this user to read: {error}"
            ) from error
        if isinstance(error, errors.CorruptRecordException):
            raise SourceError(f"what Kafka at {self._topics.servers} holds is damaged: {error}") from error
        if isinstance(error, (errors.InconsistentGroupProtocolError, errors.InvalidSessionTimeoutError)):
            raise SourceError(f"the group does not take this process in: {error}") from error
        if isinstance(error, errors.NoOffsetForPartitionError):
            return
        self._consumer.coordinator.check_errors()
        logger.debug("reading: %r", error)
        await asyncio.sleep(RETRY)


def _lost(name: str, first: int, next: int) -> Batch:
    return Batch(
        partition=name,
        shown=name,
        format="kafka",
        base=first,
        first=first,
        next=next,
        count=0,
        payload=b"",
        lost=True,
    )


def beyond(name: str, offset: int, end: int) -> str:
    """The error of a position that a partition does not have."""
    return (
        f"{name} ends at offset {end}, and what was processed ends at {offset}: the topic was made anew, or"
        " has lost records; `comporta reset` begins a new generation"
    )
