"""Static membership of a consumer group, as far as aiokafka 0.14 lacks it.

Its heartbeat and its commit do not carry the instance id (KIP-345), so that two processes of one id would
evict each other for ever. Here they do, and the older process learns that it is fenced. Layouts are those of
the Kafka protocol guide (https://kafka.apache.org/protocol).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from aiokafka import errors
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.group import HeartbeatRequest, HeartbeatResponse_v1, JoinGroupRequest
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String
from aiokafka.structs import TopicPartition

logger = logging.getLogger(__name__)

FENCED = 82  # the protocol's error FENCED_INSTANCE_ID
TEXT = String("utf-8")


class Fenced(errors.KafkaError):  # type: ignore[misc]
    """Another process has joined with this one's instance id."""


class HeartbeatResponse3(Response):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    SCHEMA = HeartbeatResponse_v1.SCHEMA


class HeartbeatRequest3(RequestStruct):  # type: ignore[misc]
    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponse3
    SCHEMA = Schema(
        ("group", TEXT), ("generation_id", Int32), ("member_id", TEXT), ("group_instance_id", TEXT)
    )


class StaticHeartbeat(Request[HeartbeatRequest3]):  # type: ignore[misc]
    API_KEY = 12

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[HeartbeatRequest3]) -> HeartbeatRequest3:
        return request_struct_class(*self._fields)


class OffsetCommitResponse7(Response):  # type: ignore[misc]
    API_KEY = 8
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(("topic", TEXT), ("partitions", Array(("partition", Int32), ("error_code", Int16)))),
        ),
    )


class OffsetCommitRequest7(RequestStruct):  # type: ignore[misc]
    API_KEY = 8
    API_VERSION = 7
    RESPONSE_TYPE = OffsetCommitResponse7
    SCHEMA = Schema(
        ("group", TEXT),
        ("generation_id", Int32),
        ("member_id", TEXT),
        ("group_instance_id", TEXT),
        (
            "topics",
            Array(
                ("topic", TEXT),
                (
                    "partitions",
                    Array(
                        ("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", TEXT)
                    ),
                ),
            ),
        ),
    )


class StaticCommit(Request[OffsetCommitRequest7]):  # type: ignore[misc]
    API_KEY = 8

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[OffsetCommitRequest7]) -> OffsetCommitRequest7:
        return request_struct_class(*self._fields)


class StaticCoordinator(GroupCoordinator):  # type: ignore[misc]
    """A coordinator that says its instance id always, and calls `on_fenced` once it is another's."""

    def __init__(self, *args: Any, on_fenced: Callable[[], None], **settings: Any) -> None:
        self._on_fenced = on_fenced
        self.evictions = 0
        """How often the group went on without this member: others may have had what it had."""
        super().__init__(*args, **settings)

    async def _send_req(self, request: Any) -> Any:
        member = self.member_id
        is_heartbeat = isinstance(request, HeartbeatRequest)
        if is_heartbeat:
            request = StaticHeartbeat(self.group_id, self.generation, member, self._group_instance_id)
        response = await super()._send_req(request)
        code = getattr(response, "error_code", None)
        if code == FENCED:
            self._refused(member)
        if is_heartbeat and code == errors.GroupLoadInProgressError.errno:
            raise errors.GroupLoadInProgressError  # it takes over from a broker that is away: once more, soon
        return response

    def _refused(self, member: str) -> NoReturn:
        """Another member has this instance id than the one that asked: another process's, or our own by now.

        A group that has gone on without this process takes it in as a new member, whose id comes last of all.
        """
        if member == self.member_id != JoinGroupRequest.UNKNOWN_MEMBER_ID:
            self._on_fenced()
        raise Fenced

    def reset_generation(self) -> None:
        if not self._closing.done():
            self.evictions += 1
        super().reset_generation()

    async def commit(self, offsets: Mapping[TopicPartition, int], metadata: str) -> None:
        """Commit offsets, once. Raises `KafkaError` if that fails; membership is the heartbeat's affair."""
        member = self.member_id
        topics: dict[str, list[tuple[int, int, int, str]]] = {}
        for (topic, number), offset in offsets.items():
            topics.setdefault(topic, []).append((number, offset, -1, metadata))
        response = await self._send_req(
            StaticCommit(
                self.group_id, self.generation, member, self._group_instance_id, list(topics.items())
            )
        )
        for _, partitions in response.topics:
            for _, code in partitions:
                if code == FENCED:
                    self._refused(member)
                if code:
                    raise errors.for_code(code)()

    async def assigned_to_anyone(self) -> set[TopicPartition] | None:
        """The partitions that some member of the group has; None while the group is rebalancing."""
        response = await self._send_req(DescribeGroupsRequest([self.group_id]))
        (_, _, state, _, _, members, *_) = response.groups[0]
        if state != "Stable":
            return None
        return {
            TopicPartition(topic, number)
            for *_, assignment in (member[:5] for member in members)
            for topic, numbers in ConsumerProtocol.ASSIGNMENT.decode(assignment).assignment
            for number in numbers
        }
