"""Consumer groups, asked from outside: by whoever is no member, or none any more.

Brokers that are away are waited for; what waiting would not mend raises `SourceError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.api import Request
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.structs import TopicPartition

from comporta import brokers
from comporta.addresses import KafkaAddress
from comporta.errors import SourceError
from comporta.generations import ID
from comporta.kafka_requests import LeaveRequest
from comporta.payloads import Origin

GROUP = 0  # what a coordinator is asked for, and not a transaction
# Codes of Kafka's protocol that are told apart here.
UNKNOWN_MEMBER, NOT_AUTHORIZED = 25, 30
NOT_COORDINATOR = 16  # any more


def leave(address: KafkaAddress, group: str, instances: Sequence[str]) -> list[str]:
    """Take the members of these instance ids out of a group; those that were members of it."""
    response = _ask(address, group, LeaveRequest(group, instances))
    for _, _, code in response.members:
        if code != UNKNOWN_MEMBER:
            _check(address, group, code)
    return [instance for _, instance, code in response.members if not code]


def is_empty(address: KafkaAddress, group: str) -> bool:
    """Whether a group has no members."""
    (code, _, _, _, _, members, *_) = _ask(address, group, DescribeGroupsRequest([group])).groups[0]
    _check(address, group, code)
    return not members


async def others(address: KafkaAddress, group: str, own: Collection[str]) -> dict[TopicPartition, str]:
    """Partitions whose committed offset names a generation that is none of `own`, and which one it names."""
    response = await _answer(address, group, OffsetFetchRequest(group, None))
    return {
        TopicPartition(topic, number): metadata
        for topic, partitions in response.topics
        if topic in address.topics
        for number, _, metadata, _ in partitions
        if metadata not in own and ID.fullmatch(metadata or "")
    }


async def check_store(address: KafkaAddress, group: str, own: Collection[str]) -> None:
    """Raise `SourceError` for a group of another store than the one that has had the generations `own`."""
    for (topic, number), generation in (await others(address, group, own)).items():
        raise SourceError(
            f"the group {group!r} is another store's: its offset of {topic}/{number} names the generation"
            f" {generation}, which the store of this run never had, and each of two SQLite stores would count"
            " a part. Give this run a group of its own (kafka://HOST/TOPIC?group=NAME), or all hosts one"
            " store, in Cassandra; if the other one is gone, begin anew with `comporta reset FILE.py --source"
            " URL`"
        )


@dataclass(frozen=True)
class Left:
    """A group without members, in which these partitions were another store's."""

    address: KafkaAddress
    group: str
    partitions: Sequence[TopicPartition]

    def take_over(self, origin: Origin, generation: str) -> None:
        """Have the offsets name this generation, where it starts. Kafka refuses that if there are members."""
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for topic, number in self.partitions:
            if (start := origin["starts"].get(f"{topic}/{number}")) is not None:
                topics.setdefault(topic, []).append((number, start, generation))
        request = OffsetCommitRequest(self.group, -1, "", -1, list(topics.items()))
        for _, partitions in _ask(self.address, self.group, request).topics:
            for _, code in partitions:
                _check(self.address, self.group, code)


def left(address: KafkaAddress, group: str, own: Collection[str]) -> Left | None:
    """The group, if it is another store's than the one that has had the generations `own`.

    Raises `SourceError` where it has members, which may count into that store.
    """
    partitions = asyncio.run(others(address, group, own))
    if partitions and not is_empty(address, group):
        raise SourceError(
            f"the group {group!r} is another store's, and has members: stop them first, with `comporta drain"
            " FILE.py --leave`; one that was killed is a member until its session times out"
        )
    return Left(address, group, list(partitions)) if partitions else None


def _ask(address: KafkaAddress, group: str, request: Request[Any]) -> Any:
    return asyncio.run(_answer(address, group, request))


async def _answer(address: KafkaAddress, group: str, request: Request[Any]) -> Any:
    """What the group's coordinator answers."""

    async def work(connection: AIOKafkaConnection) -> Any:
        found = await connection.send(FindCoordinatorRequest(group, GROUP))
        _check(address, group, found.error_code)
        response = await brokers.ask(f"{found.host}:{found.port}", address, SourceError, request)
        _check(address, group, getattr(response, "error_code", 0))
        return response

    return await brokers.attempt(address, SourceError, work)


def _check(address: KafkaAddress, group: str, code: int) -> None:
    servers = ",".join(address.servers)
    if code == NOT_AUTHORIZED:
        raise SourceError(
            f"Kafka at {servers} does not let this user do anything with the group {group!r}: allow it READ"
        )
    if code in brokers.PASSING | {NOT_COORDINATOR}:
        raise errors.for_code(code)
    if code:
        raise SourceError(f"the group {group!r} at {servers}: {brokers.words(errors.for_code(code)())}")
