"""A producer whose events come in transactions, some of which are aborted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from comporta.chaos.producer import TICK, KafkaProducer
from comporta.chaos.workload import Event

TRANSACTION = 200  # events
ABORTED = 3  # one in so many transactions is aborted
PAUSE = 0.2  # seconds between two tries to reach a broker
PATIENCE = 10.0  # seconds for a producer to stop that may have no one to tell
LOOK_EVERY_MS = 100

Numbered = Sequence[tuple["int | str", Event]]


class TransactionalProducer(KafkaProducer):
    """Notes what was committed; what came of a commit that failed is read back from the topic."""

    async def _work(self) -> None:
        self._ends: dict[TopicPartition, int] = {}
        producer = await self._begin()
        try:
            began, transactions = time.monotonic(), 0
            while not self._must_end.is_set():
                await asyncio.sleep(TICK)
                if due := self._transaction(began):
                    transactions += 1
                    producer = await self._settle(producer, due, transactions % ABORTED == 0)
        finally:
            await _stop(producer)

    async def _begin(self) -> AIOKafkaProducer:
        """A new producer. By the time that it has started, nothing of the one before it is undecided."""
        while True:
            with contextlib.suppress(KafkaError):
                return await self._connect(transactional_id=self._topic)
            await asyncio.sleep(PAUSE)

    def _transaction(self, began: float) -> Numbered:
        due: list[tuple[int | str, Event]] = [*self._due(began, TRANSACTION)]
        if poison := self._poison():
            due.append(poison)
        return due

    async def _settle(self, producer: AIOKafkaProducer, due: Numbered, is_aborted: bool) -> AIOKafkaProducer:
        """Send a transaction, and note it if it was committed. The producer for the next one."""
        committed: set[bytes] = set()
        try:
            await producer.begin_transaction()
            sent = [
                await self._to(producer, event, which if isinstance(which, int) else self._next)
                for which, event in due
            ]
            if is_aborted:
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
                for acknowledgement in sent:
                    record = await acknowledgement
                    self._ends[record.topic_partition] = record.offset + 1
                committed = {event.value for _, event in due}
        except KafkaError:
            await _stop(producer)
            producer = await self._begin()
            committed = await self._read_committed(await producer.partitions_for(self._topic))
        for which, event in due:
            if event.value in committed:
                self._note(which)
            elif isinstance(which, str):
                self.poison(which)  # again: who asked for it waits for what it does
        return producer

    async def _read_committed(self, numbers: Iterable[int]) -> set[bytes]:
        """The values of what was committed since the last transaction that is known to be."""
        while True:
            with contextlib.suppress(KafkaError):
                return await self._read([TopicPartition(self._topic, number) for number in numbers])
            await asyncio.sleep(PAUSE)

    async def _read(self, partitions: Sequence[TopicPartition]) -> set[bytes]:
        values: set[bytes] = set()
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers, isolation_level="read_committed", enable_auto_commit=False
        )
        async with consumer:
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, self._ends.get(partition, 0))
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=LOOK_EVERY_MS)).values():
                    values.update(record.value for record in records)
        return values


async def _stop(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, asyncio.TimeoutError):
        await asyncio.wait_for(producer.stop(), PATIENCE)
