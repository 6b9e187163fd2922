"""Groups as somebody from outside sees them; `test_brokers` has what a user may not do."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from kafka_topics import Topic
from kafka_topics import broker as broker
from test_sources_kafka_group import Join, join, names, pump

from comporta import consumer_groups
from comporta.addresses import kafka

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


def test_a_group_that_never_was_has_nobody_to_leave_it(topic: Topic) -> None:
    group = f"test-{secrets.token_hex(6)}"
    assert consumer_groups.leave(kafka(topic.url), group, ["a"]) == []
    assert consumer_groups.is_empty(kafka(topic.url), group)
