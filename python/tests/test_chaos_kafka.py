"""What chaos asks of Kafka itself: where a topic ends, to grow it, and how a group is."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import InvalidConfigurationError, KafkaConnectionError, MessageSizeTooLargeError
from kafka_topics import Topic
from kafka_topics import broker as broker
from real_services import services as services

from comporta.chaos import kafka
from comporta.chaos.kafka import Group, configure, ends, grow


def test_a_topic_grows_up_to_a_bound() -> None:
    topic = Topic(2)
    first, second, third = (f"{topic.name}/{number}" for number in range(3))
    topic.send([b"one", b"two"], 1)
    assert ends(topic.server, topic.name) == {first: 0, second: 2}
    assert grow(topic.server, topic.name, 2, 3) == 3
    assert ends(topic.server, topic.name) == {first: 0, second: 2, third: 0}
    assert grow(topic.server, topic.name, 2, 3) == 3
    assert grow(topic.server, topic.name, 2, 1) == 3


def test_a_topic_refuses_messages_and_takes_them_again() -> None:
    topic = Topic(1)
    sent = 0

    def is_taken() -> bool:
        nonlocal sent
        try:
            topic.send([bytes(1000)])
        except MessageSizeTooLargeError:
            return False
        sent += 1
        return True

    def wait_until(takes: bool) -> None:  # the broker hears of it after the controller has answered
        deadline = time.monotonic() + 60
        while is_taken() != takes:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    configure(topic.server, topic.name, {"max.message.bytes": "100"})
    wait_until(takes=False)
    configure(topic.server, topic.name, {})
    wait_until(takes=True)
    assert ends(topic.server, topic.name) == {f"{topic.name}/0": sent}
    with pytest.raises(InvalidConfigurationError):
        configure(topic.server, topic.name, {"max.message.bytes": "many"})


def test_where_nobody_answers_no_end_is_known() -> None:
    assert ends("127.0.0.1:1", "topic") is None


def test_where_a_broker_fails_between_two_questions_no_end_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    topic = Topic(1)

    async def fail(*_: object) -> int:
        raise KafkaConnectionError

    monkeypatch.setattr(kafka, "_count", fail)
    assert ends(topic.server, topic.name) is None


def test_a_group_has_its_members_and_its_generation() -> None:
    topic = Topic(2)
    group = Group(topic.server, topic.name)
    assert group.wait_for(lambda members: members == {}, 30.0)
    assert group.generation() == -1
    assert not group.wait_for(lambda members: len(members) == 1, 0.0)

    async def join(instance: str) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            topic.name, bootstrap_servers=topic.server, group_id=topic.name, group_instance_id=instance
        )
        await consumer.start()
        return consumer

    async def work() -> None:
        consumer = await join("one")
        assert await asyncio.to_thread(group.wait_for, lambda members: len(members) == 1, 30.0)
        [(member, numbers)] = (await asyncio.to_thread(group.members) or {}).items()
        assert member.startswith("one")
        assert numbers == {0, 1}
        assert await asyncio.to_thread(group.generation) == 1
        other = await join("two")
        assert await asyncio.to_thread(group.wait_for, lambda members: len(members) == 2, 30.0)
        assert await asyncio.to_thread(group.generation) == 2
        await consumer.stop()
        await other.stop()

    asyncio.run(work())
