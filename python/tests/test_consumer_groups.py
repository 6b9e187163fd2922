"""Groups as somebody from outside sees them; `test_brokers` has what a user may not do."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest
from aiokafka.structs import TopicPartition
from kafka_topics import Topic
from kafka_topics import broker as broker
from test_sources_kafka_group import Join, join, names, pump

from comporta import consumer_groups
from comporta.addresses import KafkaAddress, kafka
from comporta.errors import SourceError
from comporta.payloads import Origin

__all__ = ["join"]


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_DATA", str(tmp_path))
    monkeypatch.setenv("COMPORTA_SESSION_TIMEOUT", "20m")  # which no test waits for
    monkeypatch.setenv("COMPORTA_INSTANCE_ID", "")


@pytest.fixture
def topic() -> Topic:
    return Topic(4)


def test_what_a_member_had_that_leaves_goes_to_others_within_its_session(topic: Topic, join: Join) -> None:
    members = [join("a"), join("b")]
    pump(members, lambda: [len(each.partitions) for each in members] == [2, 2])
    members[0].source.close()
    address, group = kafka(topic.url), members[0].group
    assert not consumer_groups.is_empty(address, group)
    assert consumer_groups.leave(address, group, ["nobody", "a"]) == ["a"]
    pump(members[1:], lambda: members[1].partitions == names(topic, 0, 1, 2, 3))
    assert consumer_groups.leave(address, group, ["a"]) == []
    members[1].source.close()
    assert consumer_groups.leave(address, group, ["b"]) == ["b"]
    assert consumer_groups.is_empty(address, group)


def check_store(address: KafkaAddress, group: str, *own: str) -> None:
    asyncio.run(consumer_groups.check_store(address, group, own))


def test_a_group_is_the_store_s_whose_generation_its_offsets_name(topic: Topic) -> None:
    address, group = kafka(topic.url), f"test-{secrets.token_hex(6)}"
    mine, others = secrets.token_hex(8), secrets.token_hex(8)
    place = TopicPartition(topic.name, 2)
    origin = Origin(topics={}, starts={f"{topic.name}/2": 7})
    check_store(address, group)

    consumer_groups.Left(address, group, [place]).take_over(origin, "no generation")
    check_store(address, group)
    assert consumer_groups.left(address, group, []) is None

    consumer_groups.Left(address, group, [place]).take_over(origin, others)
    check_store(address, group, mine, others)
    check_store(kafka(Topic().url), group, mine)
    with pytest.raises(SourceError, match=rf"{topic.name}/2 names the generation {others}"):
        check_store(address, group, mine)

    left = consumer_groups.left(address, group, [mine])
    assert left
    assert left.partitions == [place]
    left.take_over(origin, mine)
    check_store(address, group, mine)


def test_a_group_that_has_members_is_not_taken_over(topic: Topic, join: Join) -> None:
    member, mine, others = join("a"), secrets.token_hex(8), secrets.token_hex(8)
    pump([member], lambda: len(member.partitions) == 4)
    address, origin = kafka(topic.url), Origin(topics={}, starts={f"{topic.name}/0": 0})
    left = consumer_groups.Left(address, member.group, [TopicPartition(topic.name, 0)])
    with pytest.raises(SourceError, match=rf"the group '{member.group}' at .*UnknownMemberId"):
        left.take_over(origin, others)
    member.source.close()
    consumer_groups.leave(address, member.group, ["a"])
    left.take_over(origin, others)
    other = join("b")
    pump([other], lambda: len(other.partitions) == 4)
    with pytest.raises(SourceError, match="has members: stop them first"):
        consumer_groups.left(address, member.group, [mine])


def test_a_group_that_never_was_has_nobody_to_leave_it(topic: Topic) -> None:
    group = f"test-{secrets.token_hex(6)}"
    assert consumer_groups.leave(kafka(topic.url), group, ["a"]) == []
    assert consumer_groups.is_empty(kafka(topic.url), group)
