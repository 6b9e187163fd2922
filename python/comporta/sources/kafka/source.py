"""Kafka as a source, as the thread that asks for batches sees it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from comporta.addresses import kafka, scheme
from comporta.errors import UsageError
from comporta.instances import instance_id
from comporta.payloads import AssignedPartition, Known
from comporta.sources.contract import Batch, Limits, Source
from comporta.sources.kafka.client import Client, Membership
from comporta.sources.kafka.inbox import Inbox
from comporta.sources.kafka.topics import Topics

SESSION_TIMEOUT, MAX_POLL_INTERVAL = 45_000, 300_000  # milliseconds


class KafkaSource(Source):
    """The topics that a URL `kafka://...` names, under `known`, what the store remembers of them.

    The consumer group is the URL's, or else the pipeline's name. `dead` says where dead letters are: beside a
    topic of them is the replay log, which is read as the partition `replay`. `is_slicing` hands over record
    batches as they are; without it records are decoded here. Raises `UsageError` for a URL or an environment
    that cannot be meant; whatever is wrong with Kafka itself is said by the methods, as `SourceError`.
    """

    unit = "records"

    def __init__(
        self,
        url: str,
        known: Known,
        until_end: bool,
        limits: Limits,
        pipeline: str,
        dead: str | None = None,
        *,
        is_slicing: bool = True,
    ) -> None:
        address = kafka(url)
        group = address.group or pipeline
        session_timeout = _milliseconds("COMPORTA_SESSION_TIMEOUT", SESSION_TIMEOUT)
        max_poll_interval = _milliseconds("COMPORTA_MAX_POLL_INTERVAL", MAX_POLL_INTERVAL)
        self.patience = session_timeout / 1000
        self._inbox = Inbox(limits)
        self._client = Client(
            Topics(address, kafka(dead).replay if dead and scheme(dead) == "kafka" else None),
            known,
            until_end,
            limits,
            Membership(group, instance_id(group), session_timeout, max_poll_interval),
            pipeline,
            self._inbox,
            is_slicing=is_slicing,
        )

    def discover(self) -> list[AssignedPartition]:
        self._inbox.check()
        return self._inbox.news()

    def has_news(self) -> bool:
        return self._inbox.has_news()

    def revoked(self) -> list[str]:
        self._inbox.check()
        return self._inbox.losses()

    def wants_drain(self) -> bool:
        return self._inbox.wants_drain()

    def drained(self) -> None:
        self._inbox.want_drain(False)
        self._client.drained()

    def is_listed(self) -> bool:
        return self._inbox.is_listed()

    def seek(self, partition: str, offset: int) -> None:
        if self._inbox.seek(partition, offset):
            self._client.follow(partition)

    def read(self) -> Batch | None:
        self._inbox.check()
        batch, has_room_again = self._inbox.take()
        if has_room_again:
            self._client.go_on()
        return batch

    def ends(self) -> list[tuple[str, int]]:
        return self._inbox.ends()

    def backlog(self) -> list[tuple[str, int]]:
        return self._inbox.highwaters()

    def checkpoint(self, partition: str, upto: int) -> None:
        self._client.commit(partition, upto)

    def descriptors(self) -> Sequence[int]:
        return self._inbox.descriptors()

    def close(self) -> None:
        self._client.close()


def _milliseconds(variable: str, default: int) -> int:
    """What an environment variable says, such as 10000, 500ms or 10s; the default if it says nothing."""
    text = os.environ.get(variable)
    if not text:
        return default
    match = re.fullmatch(r"(\d{1,9})(ms|s|m)?", text)
    if not match or not int(match[1]):
        raise UsageError(f"{variable} is {text!r}: it must be a time such as 10s or 45000 (ms)")
    return int(match[1]) * {"s": 1000, "m": 60_000}.get(match[2], 1)
