"""What is asked of Kafka itself, beside sending: how a topic is, to change it, and how a group is."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NotCoordinatorForGroupError,
    for_code,
)

STORED_IN = "__consumer_offsets"
METADATA = 2  # the version of a key whose value is about the group itself, and not about an offset
POLL = 0.2  # seconds
GET_MS = 1000
ANSWER = 10.0  # seconds within which Kafka must answer
ONE_ANSWER_MS = 4000  # for a broker, beyond which the next one is asked

Members = dict[str, set[int]]
"""The partitions of each member, by the id that it has from the broker."""


def ends(servers: str, topic: str) -> dict[str, int] | None:
    """Where each partition of a topic ends, by `TOPIC/NUMBER`; None where Kafka does not say it now."""
    try:
        return asyncio.run(asyncio.wait_for(_ends(servers, topic), ANSWER))
    except (KafkaError, asyncio.TimeoutError):
        return None
    except asyncio.CancelledError:  # aiokafka's, of a consumer stopped before a task of its own has begun
        return None


async def _ends(servers: str, topic: str) -> dict[str, int]:
    async with _administration(servers) as admin, _consumer(servers) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(await _count(admin, topic))]
        found = await consumer.end_offsets(partitions)
    return {f"{topic}/{number}": offset for (_, number), offset in found.items()}


async def _count(admin: AIOKafkaAdminClient, topic: str) -> int:
    """How many partitions a topic has."""
    [known] = await admin.describe_topics([topic])
    return len(known["partitions"])


@contextlib.asynccontextmanager
async def _administration(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=ONE_ANSWER_MS)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


def _consumer(servers: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(bootstrap_servers=servers, request_timeout_ms=ONE_ANSWER_MS)


def grow(servers: str, topic: str, more: int, most: int) -> int:
    """Give a topic more partitions, up to so many; how many it has."""
    return asyncio.run(_grow(servers, topic, more, most))


async def _grow(servers: str, topic: str, more: int, most: int) -> int:
    async with _administration(servers) as admin:
        has = await _count(admin, topic)
        wanted = max(has, min(most, has + more))
        if wanted > has:
            await admin.create_partitions({topic: NewPartitions(wanted)})
    return wanted


def configure(servers: str, topic: str, settings: Mapping[str, str]) -> None:
    """Give a topic these settings, and the brokers' own in everything else."""
    asyncio.run(_configure(servers, topic, settings))


async def _configure(servers: str, topic: str, settings: Mapping[str, str]) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))
    async with _administration(servers) as admin:
        [response] = await admin.alter_configs([resource])
    for code, *_ in response.resources:
        if code:
            raise for_code(code)(f"the settings of {topic} cannot be {dict(settings)}")


class Group:
    """A group whose members read one topic."""

    def __init__(self, servers: str, name: str) -> None:
        self._servers = servers
        self._name = name

    def members(self) -> Members | None:
        """The members, or None while the group is rebalancing, or has no coordinator, as on a new broker."""
        try:
            return asyncio.run(self._members())
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            return None

    def wait_for(self, holds: Callable[[Members], bool], seconds: float) -> bool:
        """Wait until its members are such, and agreed on their partitions; False where that takes longer."""
        deadline = time.monotonic() + seconds
        while (members := self.members()) is None or not holds(members):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True

    def generation(self) -> int:
        """How often its partitions were shared out: the last number that the coordinator has written down."""
        return asyncio.run(self._generation())

    async def _members(self) -> Members | None:
        async with _administration(self._servers) as admin:
            [response] = await admin.describe_consumer_groups([self._name])
        (_, _, state, _, _, members, *_) = response.groups[0]
        if state not in ("Stable", "Empty", "Dead"):
            return None
        return {
            id: {
                number
                for _, numbers in ConsumerProtocol.ASSIGNMENT.decode(assignment).assignment
                for number in numbers
            }
            for id, _, _, _, assignment in members
        }

    async def _generation(self) -> int:
        servers = self._servers
        generation = -1
        async with _administration(servers) as admin, _consumer(servers) as consumer:
            partition = TopicPartition(STORED_IN, abs(_hash(self._name)) % await _count(admin, STORED_IN))
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            [end] = (await consumer.end_offsets([partition])).values()
            while await consumer.position(partition) < end:
                for record in (await consumer.getmany(timeout_ms=GET_MS)).get(partition, ()):
                    if record.value and _is_about(record.key, self._name):
                        generation = _generation(record.value)
        return generation


def _hash(text: str) -> int:
    """Java's hash of a string, by which a group's partition is found."""
    value = 0
    for character in text.encode("utf-16-be")[1::2]:
        value = (31 * value + character) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


def _is_about(key: bytes, group: str) -> bool:
    version, length = struct.unpack_from(">hh", key)
    return bool(version == METADATA) and key[4 : 4 + length] == group.encode()


def _generation(value: bytes) -> int:
    """Of Kafka's `GroupMetadataValue`: its version, the protocol's type, the generation, and more."""
    _, length = struct.unpack_from(">hh", value)
    (generation,) = struct.unpack_from(">i", value, 4 + length)
    return int(generation)
