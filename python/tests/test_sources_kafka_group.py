"""Several sources of one group: as they come and go, each record counts once, and others are left alone."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from kafka_topics import Topic
from kafka_topics import broker as broker
from source_contract import LIMITS, PATIENCE
from test_sources_kafka import decoded, known

from comporta.errors import SourceError
from comporta.sources import Batch
from comporta.sources.kafka import KafkaSource, resolve
from comporta.sources.kafka import group as module_group


class Member:
    """A source, and what a pipeline does with it; `store` has the checkpoints that all members share.

    Each batch is worked on at once, and becomes durable at a drain, or where `flush` says so.
    """

    def __init__(self, name: str, topic: Topic, group: str, store: dict[str, int]) -> None:
        os.environ["COMPORTA_INSTANCE_ID"] = name
        self.name = name
        self.group = group
        self.store = store
        self.source = KafkaSource(
            topic.url, known(resolve(topic.url, "earliest"), {}), False, LIMITS, group, is_slicing=True
        )
        self.positions: dict[str, int] = {}
        self.unflushed: list[Batch] = []
        self.done: list[bytes] = []
        self.told: list[tuple[str, str]] = []
        self.drains = 0

    @property
    def partitions(self) -> set[str]:
        return set(self.positions)

    def step(self) -> None:
        source = self.source
        for partition in source.revoked():
            self.told.append(("revoked", partition))
            del self.positions[partition]
            self.unflushed = [batch for batch in self.unflushed if batch.partition != partition]
        for assigned in source.discover():
            partition = assigned["partition"]
            self.told.append(("assigned", partition))
            start = self.store.setdefault(partition, assigned["start"])
            self.positions[partition] = start
            source.seek(partition, start)
        if source.wants_drain():
            self.drains += 1
            self.flush()
            source.drained()
        while batch := source.read():
            assert batch.first == self.positions[batch.partition]
            self.positions[batch.partition] = batch.next
            self.unflushed.append(batch)

    def flush(self) -> None:
        for batch in self.unflushed:
            if self.store[batch.partition] == batch.first:
                self.store[batch.partition] = batch.next
                self.source.checkpoint(batch.partition, batch.next)
                self.done += [value for value in decoded(batch).values if value is not None]
        self.unflushed = []


def pump(members: list[Member], condition: Callable[[], bool]) -> None:
    """Let members work until `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, [(each.name, each.partitions, each.told) for each in members]
        for member in members:
            member.step()
        time.sleep(0.005)


def pump_for(members: list[Member], seconds: float) -> None:
    end = time.monotonic() + seconds
    pump(members, lambda: time.monotonic() > end)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_DATA", str(tmp_path))
    monkeypatch.setenv("COMPORTA_INSTANCE_ID", "")
    monkeypatch.setenv("COMPORTA_SESSION_TIMEOUT", "6s")
    monkeypatch.setattr(module_group, "WATCH_EVERY", 1.0)
    monkeypatch.setattr(module_group, "REJOIN_EVERY", 2.0)
    monkeypatch.setattr(module_group, "DRAIN_BOUND", 3.0)


@pytest.fixture
def topic() -> Topic:
    return Topic(4)


@pytest.fixture
def join(topic: Topic) -> Iterator[Callable[[str], Member]]:
    """Makes a member of that instance id."""
    group = f"test-{secrets.token_hex(6)}"
    store: dict[str, int] = {}
    joined: list[Member] = []

    def join(name: str) -> Member:
        joined.append(Member(name, topic, group, store))
        return joined[-1]

    yield join
    for member in joined:
        member.source.close()


Join = Callable[[str], Member]


def names(topic: Topic, *numbers: int) -> set[str]:
    return {f"{topic.name}/{number}" for number in numbers}


def send(topic: Topic, text: str) -> list[bytes]:
    lines = [f"{text} {number}".encode() for number in range(400)]
    for partition in range(4):
        topic.send(lines[partition::4], partition, max_batch_size=300)
    return lines


def test_members_that_come_share_what_there_is_and_each_record_counts_once(topic: Topic, join: Join) -> None:
    lines = send(topic, "one")
    members = [join("a")]
    pump(members, lambda: len(members[0].unflushed) >= 8)
    assert members[0].partitions == names(topic, 0, 1, 2, 3)
    for name, sizes in (("b", [2, 2]), ("c", [1, 1, 2])):
        lines += send(topic, name)
        members.append(join(name))
        pump(members, lambda sizes=sizes: sorted(len(each.partitions) for each in members) == sizes)
        assert set.union(*(each.partitions for each in members)) == names(topic, 0, 1, 2, 3)
    lines += send(topic, "last")
    pump(members, lambda: sum(len(each.done) + len(each.unflushed) for each in members) > 0)
    pump_for(members, 2)
    for member in members:
        member.flush()
    assert sorted(line for each in members for line in each.done) == sorted(lines)
    assert members[0].drains >= 2


def test_partitions_that_come_straight_back_go_on_and_nothing_is_told(topic: Topic, join: Join) -> None:
    lines = send(topic, "one")
    first = join("a")
    pump([first], lambda: len(first.partitions) == 4)
    pump_for([first], 1)
    told = list(first.told)
    second = join("b")
    pump([first, second], lambda: len(second.partitions) == 2)
    lost = names(topic, 0, 1, 2, 3) - first.partitions
    assert sorted(first.told[len(told) :]) == sorted(("revoked", partition) for partition in lost)
    send(topic, "two")
    pump_for([first, second], 1)  # each step compares positions
    for member in (first, second):
        member.flush()
    assert len(first.done) + len(second.done) == 2 * len(lines)


@pytest.mark.parametrize("name", ["a", "b"])  # the one that leads the group, and one that does not
def test_a_member_that_is_back_has_what_it_had_and_no_one_else_notices(
    topic: Topic, join: Join, name: str
) -> None:
    members = [join("a"), join("b")]
    pump(members, lambda: [len(each.partitions) for each in members] == [2, 2])
    pump_for(members, 1)
    gone, other = sorted(members, key=lambda member: member.name != name)
    had, told, drains = gone.partitions, list(other.told), other.drains
    gone.source.close()
    pump_for([other], 1)
    back = join(name)
    pump([back, other], lambda: back.partitions == had)
    pump_for([back, other], 1)
    assert other.told == told
    assert other.drains == drains


def test_of_two_with_one_id_the_older_is_fenced_and_says_so(topic: Topic, join: Join) -> None:
    older = join("a")
    pump([older], lambda: len(older.partitions) == 4)
    newer = join("a")
    pump([newer], lambda: len(newer.partitions) == 4)
    with pytest.raises(SourceError, match="another process with the instance id a has taken over"):
        pump([older], lambda: False)
    pump_for([newer], 2)
    assert newer.partitions == names(topic, 0, 1, 2, 3)
    assert [what for what, _ in newer.told] == ["assigned"] * 4


def test_nobody_is_fenced_by_joining_again(topic: Topic, join: Join) -> None:
    member = join("a")
    pump([member], lambda: len(member.partitions) == 4)
    client = member.source._client
    coordinator = client._consumer.coordinator
    commits = {TopicPartition(topic.name, 0): 0}

    async def commit_under_a_former_id() -> None:
        current, coordinator.member_id = coordinator.member_id, "a-former-id"
        commit = asyncio.ensure_future(coordinator.commit(commits, ""))
        await asyncio.sleep(0)  # it is on its way
        coordinator.member_id = current
        with pytest.raises(KafkaError):
            await commit

    async def commit_before_it_has_joined_again() -> None:
        coordinator.reset_generation()  # as where the group went on without it
        with pytest.raises(KafkaError):
            await coordinator.commit(commits, "")

    for work in (commit_under_a_former_id, commit_before_it_has_joined_again):
        asyncio.run_coroutine_threadsafe(work(), client._loop).result(PATIENCE)
    member.told.clear()
    pump([member], lambda: len(member.told) >= 4)
    assert member.partitions == names(topic, 0, 1, 2, 3)


def test_what_a_member_had_goes_to_others_when_it_stays_away(topic: Topic, join: Join) -> None:
    members = [join("a"), join("b")]
    pump(members, lambda: [len(each.partitions) for each in members] == [2, 2])
    members[0].source.close()
    pump(members[1:], lambda: len(members[1].partitions) == 4)


def test_partitions_that_are_added_are_found(topic: Topic, join: Join) -> None:
    members = [join("a"), join("b")]
    pump(members, lambda: [len(each.partitions) for each in members] == [2, 2])
    topic.grow(6)
    pump(members, lambda: [len(each.partitions) for each in members] == [3, 3])
    topic.send([b"new"], 5)
    owner = next(each for each in members if f"{topic.name}/5" in each.partitions)
    pump(members, lambda: any(batch.partition == f"{topic.name}/5" for batch in owner.unflushed))


@pytest.mark.parametrize("leader", ["a", "b"])
def test_partitions_that_are_added_while_the_leader_restarts_are_found(
    topic: Topic, join: Join, leader: str
) -> None:
    first = join(leader)
    pump([first], lambda: len(first.partitions) == 4)  # who was there first leads
    other = join("a" if leader == "b" else "b")
    pump([first, other], lambda: len(other.partitions) == 2)
    first.source.close()
    topic.grow(6)
    back = join(leader)
    pump([back, other], lambda: [len(back.partitions), len(other.partitions)] == [3, 3])
    topic.grow(8)
    pump([back, other], lambda: [len(back.partitions), len(other.partitions)] == [4, 4])
