"""Consumer groups, asked from outside: by whoever is no member, or none any more.

Brokers that are away are waited for; what waiting would not mend raises `SourceError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.api import Request
from aiokafka.protocol.coordination import FindCoordinatorRequest

from comporta import brokers
from comporta.addresses import KafkaAddress
from comporta.errors import SourceError
from comporta.kafka_requests import LeaveRequest

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


def _ask(address: KafkaAddress, group: str, request: Request[Any]) -> Any:
    """What the group's coordinator answers."""

    async def work(connection: AIOKafkaConnection) -> Any:
        found = await connection.send(FindCoordinatorRequest(group, GROUP))
        _check(address, group, found.error_code)
        response = await brokers.ask(f"{found.host}:{found.port}", address, SourceError, request)
        _check(address, group, getattr(response, "error_code", 0))
        return response

    return asyncio.run(brokers.attempt(address, SourceError, work))


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
