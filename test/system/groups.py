"""A consumer group as its coordinator knows it, asked from outside."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.structs import TopicPartition

ILLEGAL_GENERATION = 22


class Standing(NamedTuple):
    """A group that is stable: the number of its generation, and what each member has, by the member's id."""

    generation: int
    members: dict[str, frozenset[TopicPartition]]


def standing(server: str, group: str) -> Standing | None:
    """How a group stands, unless it is rebalancing or has no members."""

    async def ask() -> Standing | None:
        admin = AIOKafkaAdminClient(bootstrap_servers=server)
        await admin.start()
        try:
            return await _ask(admin, group)
        finally:
            await admin.close()

    return asyncio.run(ask())


async def _ask(admin: AIOKafkaAdminClient, group: str) -> Standing | None:
    (response,) = await admin.describe_consumer_groups([group])
    (_, _, state, _, _, found, *_) = response.groups[0]
    if state != "Stable":
        return None
    members = {member[0]: frozenset(_partitions(member[4])) for member in found}
    # No answer has the generation's number: of all heartbeats only one with the right number is taken.
    coordinator, anyone = await admin.find_coordinator(group), next(iter(members))
    for generation in count(1):
        answer = await admin._send_request(HeartbeatRequest(group, generation, anyone), coordinator)
        if answer.error_code == 0:
            return Standing(generation, members)
        if answer.error_code != ILLEGAL_GENERATION:
            return None
    return None


def _partitions(assignment: bytes) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number)
        for topic, numbers in ConsumerProtocol.ASSIGNMENT.decode(assignment).assignment
        for number in numbers
    ]
