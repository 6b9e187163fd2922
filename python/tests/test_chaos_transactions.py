"""What the transactional producer notes is what can be read, whatever came of its commits."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from few_events import FewEvents
from kafka_topics import Topic
from kafka_topics import broker as broker

from comporta.chaos.transactions import TransactionalProducer
from comporta.chaos.workloads.transactions import Transactions

PARTITIONS = 3


class Few(FewEvents, Transactions):
    """As many as a test can wait for."""

    most = 3_000


def readable(topic: Topic) -> list[bytes]:
    """The values that a plain consumer reads of what was committed."""

    async def work() -> list[bytes]:
        consumer = AIOKafkaConsumer(bootstrap_servers=topic.server, isolation_level="read_committed")
        async with consumer:
            partitions = [TopicPartition(topic.name, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            values = []
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                found = await consumer.getmany(timeout_ms=100)
                values += [record.value for records in found.values() for record in records]
            return values

    return asyncio.run(work())


def produce(topic: Topic) -> TransactionalProducer:
    """All events, and two poison records."""
    workload = Few()
    producer = TransactionalProducer(workload, topic.server, topic.name)
    producer.poison("raise")
    producer.poison("exit")
    producer.start()
    while not (workload.is_over and len(producer.poisoned) == 2) and producer.failure is None:
        time.sleep(0.01)
    producer.finish()
    return producer


def check(topic: Topic, producer: TransactionalProducer) -> None:
    found = readable(topic)
    poison = [value for value in found if value.startswith(b"!")]
    assert sorted(value.split()[0] for value in poison) == [b"!exit", b"!raise"]
    events = [Few().event(number).value for number in producer.acknowledged]
    assert sorted(events + poison) == sorted(found)
    assert len(set(events)) == len(events)
    assert 1000 < len(events) < Few.most


def test_what_was_aborted_is_not_noted(topic: Topic) -> None:
    check(topic, produce(topic))


@pytest.mark.parametrize("happens", [True, False])
def test_a_commit_that_fails_is_looked_up(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    """Whether it has happened or not."""
    commit = AIOKafkaProducer.commit_transaction
    turns = itertools.count()

    async def fail(self: AIOKafkaProducer) -> None:
        turn = next(turns)
        if turn % 3 or happens:
            await commit(self)
        if turn % 3 == 0:
            raise KafkaTimeoutError("no answer")

    monkeypatch.setattr(AIOKafkaProducer, "commit_transaction", fail)
    check(topic, produce(topic))
    assert next(turns) > 3


@pytest.fixture
def topic(broker: str) -> Topic:
    return Topic(PARTITIONS)
