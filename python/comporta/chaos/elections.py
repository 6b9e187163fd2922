"""Leaders of partitions, moved to other brokers by two requests that aiokafka does not speak.

Their fields are those of Kafka's own message definitions, `AlterPartitionReassignmentsRequest.json` and
`ElectLeadersRequest.json`, and their responses'.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

from comporta import brokers
from comporta.addresses import KafkaAddress
from comporta.errors import ComportaError
from comporta.kafka_requests import TopicsRequest

TIMEOUT_MS = 30_000
PREFERRED = 0  # kind of election: the first of a partition's replicas becomes its leader
FINE = {0, 84}  # no error; the leader is that one already


class ReassignResponse(Response):  # type: ignore[misc]
    API_KEY = 45
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("error_message", CompactString("utf-8")),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class ReassignStruct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 45
    API_VERSION = 0
    RESPONSE_TYPE = ReassignResponse
    SCHEMA = Schema(
        ("timeout_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32), ("replicas", CompactArray(Int32)), ("tags", TaggedFields)
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class Reassign(Request[ReassignStruct]):  # type: ignore[misc]
    """Give partitions of a topic these replicas, in this order."""

    API_KEY = 45

    def __init__(self, topic: str, replicas: Mapping[int, Sequence[int]]) -> None:
        self._topic = topic
        self._partitions: list[Any] = [(number, list(order), {}) for number, order in replicas.items()]

    def build(self, request_struct_class: type[ReassignStruct]) -> ReassignStruct:
        return request_struct_class(TIMEOUT_MS, [(self._topic, self._partitions, {})], {})


class ElectResponse(Response):  # type: ignore[misc]
    API_KEY = 43
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(("partition", Int32), ("error_code", Int16), ("error_message", String("utf-8"))),
                ),
            ),
        ),
    )


class ElectStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 43
    API_VERSION = 1
    RESPONSE_TYPE = ElectResponse
    SCHEMA = Schema(
        ("kind", Int8),
        ("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))),
        ("timeout_ms", Int32),
    )


class Elect(Request[ElectStruct]):  # type: ignore[misc]
    """Have the preferred replicas of partitions of a topic become their leaders."""

    API_KEY = 43

    def __init__(self, topic: str, partitions: Sequence[int]) -> None:
        self._topics = [(topic, list(partitions))]

    def build(self, request_struct_class: type[ElectStruct]) -> ElectStruct:
        return request_struct_class(PREFERRED, self._topics, TIMEOUT_MS)


def move_leaders(address: KafkaAddress, chance: random.Random) -> dict[int, int]:
    """Give each partition of the address's topic another leader; which one, by partition."""
    return asyncio.run(brokers.attempt(address, ComportaError, lambda found: _move(found, address, chance)))


async def _move(
    connection: AIOKafkaConnection, address: KafkaAddress, chance: random.Random
) -> dict[int, int]:
    [topic] = address.topics
    metadata = await connection.send(TopicsRequest(address.topics))
    [(_, _, _, _, partitions, *_)] = metadata.topics
    orders = {}
    for _, number, leader, _, replicas, *_ in sorted(partitions, key=lambda each: each[1]):
        others = chance.sample([each for each in replicas if each != leader], len(replicas) - 1)
        orders[number] = [*others, leader]
    for request in (Reassign(topic, orders), Elect(topic, list(orders))):
        answer = await connection.send(request)
        codes = {answer.error_code, *(code for _, each, *_ in answer.topics for _, code, *_ in each)}
        if codes - FINE:
            raise ComportaError(f"Kafka does not move leaders of {topic}: {answer}")
    return {number: order[0] for number, order in orders.items()}
