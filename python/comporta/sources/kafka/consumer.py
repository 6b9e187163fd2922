"""aiokafka's consumer with slices instead of records, and with full static membership."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as fetching
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.structs import TopicPartition

from comporta.sources.contract import Limits
from comporta.sources.kafka.membership import StaticCoordinator
from comporta.sources.kafka.slices import Fetched, Until, partition_records

PARAMETERS = [
    "self",
    "tp",
    "records",
    "aborted_transactions",
    "fetch_offset",
    "key_deserializer",
    "value_deserializer",
    "check_crcs",
    "isolation_level",
]


def can_slice() -> bool:
    """Whether aiokafka's fetcher is built as is expected here."""
    code = getattr(getattr(Fetcher, "_proc_fetch_request", None), "__code__", None)
    return (
        code is not None
        and not code.co_freevars
        and {"MemoryRecords", "PartitionRecords"} <= set(code.co_names)
        and list(inspect.signature(PartitionRecords.__init__).parameters) == PARAMETERS
    )


class SlicingFetcher(Fetcher):  # type: ignore[misc]
    """A fetcher whose answers are cut into slices.

    The method that reads answers finds the classes that it makes of them among its module's names: here it
    runs with other ones.
    """

    def __init__(
        self,
        *args: Any,
        limits: Limits,
        until: Until,
        is_decoded: Callable[[TopicPartition], bool],
        **settings: Any,
    ) -> None:
        names = vars(fetching) | {
            "MemoryRecords": Fetched,
            "PartitionRecords": partition_records(
                fetching.PartitionRecords, fetching.MemoryRecords, limits, until, is_decoded
            ),
        }
        process = types.FunctionType(Fetcher._proc_fetch_request.__code__, names, "_proc_fetch_request")
        self._proc_fetch_request = types.MethodType(process, self)
        super().__init__(*args, **settings)


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """A consumer of a group, in which it has a fixed place.

    `getmany` gives slices, or records if `limits` is None or where there is no other way.
    """

    def __init__(
        self,
        *,
        limits: Limits | None,
        until: Until,
        is_decoded: Callable[[TopicPartition], bool],
        on_fenced: Callable[[], None],
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._until = until
        self._is_decoded = is_decoded
        self._on_fenced = on_fenced

    @property
    def coordinator(self) -> StaticCoordinator:
        return self._coordinator

    async def start(self) -> None:
        """Connect: offsets can be asked for, and `join` joins the group."""
        await self._client.bootstrap()
        await self._wait_topics()
        make: Any = Fetcher
        more: dict[str, Any] = {}
        if self._limits is not None:
            make = SlicingFetcher
            more = {"limits": self._limits, "until": self._until, "is_decoded": self._is_decoded}
        self._fetcher = make(
            self._client,
            self._subscription,
            fetch_min_bytes=self._fetch_min_bytes,
            fetch_max_bytes=self._fetch_max_bytes,
            fetch_max_wait_ms=self._fetch_max_wait_ms,
            max_partition_fetch_bytes=self._max_partition_fetch_bytes,
            check_crcs=self._check_crcs,
            fetcher_timeout=self._consumer_timeout,
            retry_backoff_ms=self._retry_backoff_ms,
            auto_offset_reset=self._auto_offset_reset,
            isolation_level=self._isolation_level,
            **more,
        )

    def join(self) -> None:
        """Join the group, in the background."""
        self._coordinator = StaticCoordinator(
            self._client,
            self._subscription,
            group_id=self._group_id,
            group_instance_id=self._group_instance_id,
            heartbeat_interval_ms=self._heartbeat_interval_ms,
            session_timeout_ms=self._session_timeout_ms,
            retry_backoff_ms=self._retry_backoff_ms,
            enable_auto_commit=False,
            assignors=self._partition_assignment_strategy,
            rebalance_timeout_ms=self._rebalance_timeout_ms,
            max_poll_interval_ms=self._max_poll_interval_ms,
            on_fenced=self._on_fenced,
        )

    def decodes(self, partition: TopicPartition) -> bool:
        """Whether `getmany` gives records of a partition, always."""
        return self._limits is None or self._is_decoded(partition)

    def touch(self) -> None:
        """Poll without taking anything: what was fetched stays, and so does the membership."""
        with self._subscription.fetch_context():
            pass

    def reached(self, partition: TopicPartition) -> int | None:
        """The offset up to which a partition has been taken; None where it is not assigned."""
        assignment = self._subscription.subscription.assignment
        state = assignment.state_value(partition) if assignment else None
        return state.position if state and state.has_valid_position else None

    def partitions_of(self, topic: str) -> set[int]:
        """The partitions of a topic as the last look at the cluster had them."""
        return self._client.cluster.partitions_for_topic(topic) or set()

    async def look(self) -> bool:
        """Ask for the cluster's metadata anew; False if nobody answers."""
        return bool(await self._client.force_metadata_update())
