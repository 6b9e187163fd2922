"""Topics of tests' own on a real broker."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from real_services import RealServices

Answer = TypeVar("Answer")


@pytest.fixture(scope="session", autouse=True)
def broker(services: RealServices) -> str:
    """The broker that topics are at."""
    Topic.server = services.kafka
    return services.kafka


class Topic:
    """A topic with a random name, at the broker `server`, which a session's fixture names."""

    server: ClassVar[str]

    def __init__(self, partitions: int = 1, **config: str) -> None:
        self.name = f"test-{secrets.token_hex(6)}"
        self.make(partitions, **config)

    @classmethod
    def of(cls, name: str) -> Topic:
        """One that is there already."""
        topic = cls.__new__(cls)
        topic.name = name
        return topic

    @property
    def url(self) -> str:
        return f"kafka://{self.server}/{self.name}"

    def make(self, partitions: int = 1, **config: str) -> None:
        new = NewTopic(
            self.name,
            partitions,
            1,
            topic_configs={key.replace("_", "."): value for key, value in config.items()},
        )

        async def work(admin: AIOKafkaAdminClient) -> None:
            for _ in range(100):  # one that was deleted may be there for a moment yet
                response = await admin.create_topics([new])
                if response.topic_errors[0][1] != 36:
                    break
                await asyncio.sleep(0.1)
            assert response.topic_errors[0][1] == 0, response
            for _ in range(100):
                (found,) = await admin.describe_topics([self.name])
                if found["error_code"] == 0 and len(found["partitions"]) == partitions:
                    return
                await asyncio.sleep(0.05)

        self._administer(work)

    def delete(self) -> None:
        self._administer(lambda admin: admin.delete_topics([self.name]))

    def grow(self, partitions: int) -> None:
        self._administer(lambda admin: admin.create_partitions({self.name: NewPartitions(partitions)}))

    def end(self, partition: int = 0) -> int:
        """The offset after the last record, or mark of a transaction."""
        place = TopicPartition(self.name, partition)

        async def run() -> int:
            async with AIOKafkaConsumer(bootstrap_servers=self.server) as consumer:
                return int((await consumer.end_offsets([place]))[place])

        return asyncio.run(run())

    def delete_records(self, before: int, partition: int = 0) -> None:
        place = TopicPartition(self.name, partition)
        self._administer(lambda admin: admin.delete_records({place: RecordsToDelete(before)}))

    def _administer(self, work: Callable[[AIOKafkaAdminClient], Awaitable[Answer]]) -> Answer:
        async def run() -> Answer:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.server)
            await admin.start()
            try:
                return await work(admin)
            finally:
                await admin.close()

        return asyncio.run(run())

    def send(
        self,
        values: Sequence[bytes | None],
        partition: int = 0,
        *,
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp: int | None = None,
        each: bool = False,
        **settings: Any,
    ) -> None:
        """Send values to a partition; `each` makes every one a record batch of its own."""

        async def run() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self.server, **settings)
            await producer.start()
            try:
                sent = []
                for index, value in enumerate(values):
                    sent.append(
                        await producer.send(
                            self.name,
                            value,
                            key=keys[index] if keys else None,
                            partition=partition,
                            headers=list(headers),
                            timestamp_ms=timestamp,
                        )
                    )
                    if each:
                        await sent[-1]
                await asyncio.gather(*sent)
            finally:
                await producer.stop()

        asyncio.run(run())

    def produce(self, record_batch: bytes, partition: int = 0) -> int:
        """Send a record batch just as it is. Returns the code of the broker's answer: 0 if it took it."""

        async def run() -> int:
            client = AIOKafkaClient(bootstrap_servers=self.server)
            await client.bootstrap()
            try:
                await client._wait_on_metadata(self.name)
                leader = client.cluster.leader_for_partition(TopicPartition(self.name, partition))
                topics = [(self.name, [(partition, record_batch)])]
                response = await client.send(leader, ProduceRequest(None, -1, 30_000, topics))
                [(_, [(_, code, *_)])] = response.topics
                return int(code)
            finally:
                await client.close()

        return asyncio.run(run())

    def transact(self, steps: Sequence[tuple[Sequence[bytes], bool]], partition: int = 0) -> None:
        """Transactions, one after another: values, and whether they are committed."""

        async def run() -> None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.server, transactional_id=f"test-{secrets.token_hex(6)}"
            )
            await producer.start()
            try:
                for values, is_committed in steps:
                    await producer.begin_transaction()
                    for value in values:
                        await producer.send_and_wait(self.name, value, partition=partition)
                    await (producer.commit_transaction() if is_committed else producer.abort_transaction())
            finally:
                await producer.stop()

        asyncio.run(run())


@contextmanager
def open_transaction(topic: Topic, values: Sequence[bytes]) -> Iterator[None]:
    """A transaction that stays open meanwhile, and is aborted then."""
    loop = asyncio.new_event_loop()

    async def begin() -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=topic.server, transactional_id=f"test-{secrets.token_hex(6)}"
        )
        await producer.start()
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic.name, value, partition=0)
        return producer

    async def end(producer: AIOKafkaProducer) -> None:
        await producer.abort_transaction()
        await producer.stop()

    producer = loop.run_until_complete(begin())
    try:
        yield
    finally:
        loop.run_until_complete(end(producer))
        loop.close()
