"""This process as a member of its group: what it is assigned, what it commits, what nobody reads yet."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from aiokafka import ConsumerRebalanceListener, errors
from aiokafka.structs import TopicPartition

from comporta.payloads import AssignedPartition, Known
from comporta.sources.kafka.answers import Answers
from comporta.sources.kafka.bounds import within
from comporta.sources.kafka.consumer import Consumer
from comporta.sources.kafka.inbox import Inbox
from comporta.sources.kafka.origin import offsets
from comporta.sources.kafka.topics import Topics

logger = logging.getLogger(__name__)

DRAIN_BOUND = 5.0  # seconds in which what is in flight may be finished before partitions are given up
COMMIT_EVERY = 1.0
WATCH_EVERY = 10.0  # seconds between two looks at the topics: whether they have grown, or were made anew
REJOIN_EVERY = 10.0


class Group(ConsumerRebalanceListener):  # type: ignore[misc]
    """Follows the group; `follow` is called with each partition that stays, to go on reading it."""

    def __init__(
        self,
        consumer: Consumer,
        inbox: Inbox,
        topics: Topics,
        answers: Answers,
        known: Known,
        follow: Callable[[str], None],
    ) -> None:
        self._consumer = consumer
        self._inbox = inbox
        self._topics = topics
        self._answers = answers
        self._known = known
        self._follow = follow
        self._drained = asyncio.Event()
        self._number = -1  # of the group's generation
        self._evictions = 0
        self._commits: dict[TopicPartition, int] = {}
        self._rejoin_at = 0.0
        self.tasks: set[asyncio.Task[None]] = set()

    def drained(self) -> None:
        """What was read has taken effect: partitions may be given up."""
        self._drained.set()

    def note(self, name: str, upto: int) -> None:
        """Have Kafka's committed offset follow, in a while."""
        self._commits[self._topics.partition(name)] = upto

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Have what is in flight finished, within a bound, before others may take over."""
        if not self._inbox.begin_rebalance():
            return
        self._drained.clear()
        self._inbox.want_drain(True)
        if not await within(self._drained.wait(), DRAIN_BOUND):
            logger.warning("what was in flight was not finished within %g s of a rebalance", DRAIN_BOUND)
        self._inbox.want_drain(False)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Go on where partitions come straight back; tell of others."""
        assigned = sorted(assigned)
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)  # a position, or the fetcher would look for a committed one
        coordinator = self._consumer.coordinator
        is_straight = coordinator.evictions == self._evictions and coordinator.generation - self._number <= 1
        self._evictions, self._number = coordinator.evictions, coordinator.generation
        kept, new = self._inbox.assign(map(self._topics.name, assigned), is_straight)
        for name in kept:
            self._follow(name)
        task = asyncio.ensure_future(self._introduce(new))
        self.tasks.add(task)
        task.add_done_callback(self._introduced)

    async def _introduce(self, names: list[str]) -> None:
        starts = dict(self._known["origin"]["starts"]) if self._known["origin"] else {}
        if unknown := [self._topics.partition(name) for name in names if name not in starts]:
            found = await self._answers.of(lambda: offsets(self._consumer, unknown, "earliest"))
            starts |= {self._topics.name(partition): offset for partition, offset in found.items()}
        self._inbox.introduce(
            AssignedPartition(partition=name, shown=name, start=starts[name], meta=b"") for name in names
        )

    def _introduced(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._inbox.fail(error)

    async def follow_checkpoints(self) -> None:
        """Commit for ever."""
        while True:
            await asyncio.sleep(COMMIT_EVERY)
            await self.commit()

    async def commit(self) -> None:
        """Have the group's committed offsets follow the checkpoints; they are for those who look, only."""
        owned = self._consumer.assignment()
        commits = {partition: upto for partition, upto in self._commits.items() if partition in owned}
        if not commits:
            return
        self._commits.clear()
        try:
            await self._consumer.coordinator.commit(commits, self._known["generation"])
        except errors.KafkaError as error:
            logger.debug("offsets were not committed: %s", error)
            self._commits = commits | self._commits

    async def watch(self) -> None:
        """Look again and again whether topics have grown, or were made anew, and whether Kafka is there."""
        answered = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                if not await self._consumer.look():
                    self._answers.notice.failed("no broker answers", answered)
                    continue
                self._answers.notice.succeeded()
                answered = time.monotonic()
                await self._topics.check({})
                await self._look_for_partitions()
            except errors.KafkaError as error:
                logger.debug("watching: %r", error)

    async def _look_for_partitions(self) -> None:
        """Rejoin if partitions belong to nobody: only the member that the broker holds to be the leader can
        have them shared out, and one that has restarted does not know that it is.
        """
        assigned = await self._consumer.coordinator.assigned_to_anyone()
        if assigned is None or time.monotonic() < self._rejoin_at:
            return
        if missing := set(all_partitions(self._consumer, self._topics)) - assigned:
            self._rejoin_at = time.monotonic() + REJOIN_EVERY
            logger.info("nobody reads %s yet", ", ".join(map(self._topics.name, sorted(missing))))
            self._consumer.coordinator.request_rejoin()


def all_partitions(consumer: Consumer, topics: Topics) -> list[TopicPartition]:
    """Every partition of the topics, as the last look at the cluster had them."""
    return [
        TopicPartition(topic, number)
        for topic in topics.names
        for number in sorted(consumer.partitions_of(topic))
    ]
