"""The event loop that reads Kafka, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from aiokafka import errors
from aiokafka.structs import TopicPartition

from comporta import brokers, consumer_groups
from comporta.errors import SourceError
from comporta.payloads import Known
from comporta.sources.contract import Limits
from comporta.sources.kafka.answers import RETRY, Answers
from comporta.sources.kafka.bounds import ended
from comporta.sources.kafka.consumer import Consumer, can_slice
from comporta.sources.kafka.group import WATCH_EVERY, Group, all_partitions
from comporta.sources.kafka.inbox import Inbox
from comporta.sources.kafka.origin import offsets
from comporta.sources.kafka.reading import Reading, beyond
from comporta.sources.kafka.topics import Topics

logger = logging.getLogger(__name__)

CLOSE_BOUND = 5.0  # seconds for a last commit, and for the connections' end
LEAST_FETCH = 1 << 20  # bytes of one partition that are asked for at least
FETCHES = 4  # partitions of which one answer may have so much
REBALANCE_TIMEOUT = 60_000  # milliseconds in which members of a group must join again


@dataclass(frozen=True)
class Membership:
    """Who this process is in its group, and for how long it may be silent (milliseconds)."""

    group: str
    instance: str
    session_timeout: int
    max_poll_interval: int


class Client:
    """Reads topics into the inbox as a member of a group; what fails, the inbox says.

    Its methods may be called from other threads.
    """

    def __init__(
        self,
        topics: Topics,
        known: Known,
        until_end: bool,
        limits: Limits,
        membership: Membership,
        pipeline: str,
        inbox: Inbox,
        *,
        is_slicing: bool,
    ) -> None:
        self._topics = topics
        self._answers = Answers(topics.servers)
        self._known = known
        self._until_end = until_end
        self._limits = limits
        self._membership = membership
        self._pipeline = pipeline
        self._inbox = inbox
        self._is_slicing = is_slicing and can_slice()
        if is_slicing and not self._is_slicing:
            logger.warning("aiokafka is built otherwise than was expected: records are decoded in the source")
        self._ends: dict[TopicPartition, int] = {}
        self._consumer: Consumer
        self._reading: Reading
        self._group: Group
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)
        self._thread.start()

    def follow(self, name: str) -> None:
        """Read a partition as the inbox has it from now on."""
        self._call(lambda: self._reading.follow(name))

    def drained(self) -> None:
        """What was read has taken effect: partitions may be given up."""
        self._call(lambda: self._group.drained())

    def go_on(self) -> None:
        """There is room in the inbox again."""
        self._call(lambda: self._reading.go_on())

    def commit(self, name: str, upto: int) -> None:
        """Have Kafka's committed offset follow, in a while."""
        self._call(lambda: self._group.note(name, upto))

    def close(self) -> None:
        """Commit, and end; the group is not left, so that whoever comes next under this id takes over."""
        self._call(self._stopping.set)
        self._thread.join(4 * CLOSE_BOUND)

    def _call(self, function: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it repeats is said here, once
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._inbox.fail(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        work = asyncio.ensure_future(self._work())
        await asyncio.wait({stopping, work}, return_when=asyncio.FIRST_COMPLETED)
        await ended([stopping, work], 2 * CLOSE_BOUND)
        if not work.cancelled() and (error := work.exception()):
            raise error

    async def _work(self) -> None:
        await self._prepare()
        fetch = max(LEAST_FETCH, self._limits.batch_bytes)
        self._consumer = Consumer(
            limits=self._limits if self._is_slicing else None,
            until=self._ends.get,
            is_decoded=self._topics.is_replay,
            on_fenced=self._fenced,
            **brokers.settings(self._topics.address),
            group_id=self._membership.group,
            group_instance_id=self._membership.instance,
            session_timeout_ms=self._membership.session_timeout,
            heartbeat_interval_ms=min(3000, self._membership.session_timeout // 3),
            rebalance_timeout_ms=max(REBALANCE_TIMEOUT, self._membership.session_timeout),
            max_poll_interval_ms=self._membership.max_poll_interval,
            max_partition_fetch_bytes=fetch,
            fetch_max_bytes=FETCHES * fetch,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            metadata_max_age_ms=int(WATCH_EVERY * 1000),
        )
        self._reading = Reading(
            self._consumer,
            self._inbox,
            self._topics,
            self._answers,
            self._ends,
            self._limits,
            self._pipeline,
            self._known["generation"],
        )
        self._group = Group(
            self._consumer, self._inbox, self._topics, self._answers, self._known, self._reading.follow
        )
        self._consumer.subscribe(self._topics.names, listener=self._group)
        try:
            await self._answers.of(self._consumer.start)
            await self._check_offsets()
            self._consumer.join()
            await self._read()
        finally:
            await self._end()

    async def _prepare(self) -> None:
        """Wait for Kafka, make the replay log if need be, and refuse what is not as it was, or not ours."""
        if (own := self._known["generations"]) is not None:
            await consumer_groups.check_store(self._topics.address, self._membership.group, own)
        origin = self._known["origin"]
        await self._topics.check(origin["topics"] if origin else {})
        if self._topics.replay:
            await brokers.make_topics(
                self._topics.replay, like=self._topics.address.topics[0], config={"retention.ms": "-1"}
            )

    async def _check_offsets(self) -> None:
        """Note where partitions end, and refuse positions beyond that."""
        partitions = all_partitions(self._consumer, self._topics)
        ends = await self._answers.of(lambda: offsets(self._consumer, partitions, "latest"))
        for known in self._known["partitions"]:
            partition = self._topics.partition(known["partition"])
            for _ in range(6):  # a new leader may not know for a moment how far its log is committed
                if known["upto"] <= ends.get(partition, known["upto"]):
                    break
                await asyncio.sleep(RETRY)
                ends |= await self._answers.of(lambda: offsets(self._consumer, partitions, "latest"))
            else:
                raise SourceError(beyond(known["partition"], known["upto"], ends[partition]))
        named = {self._topics.name(partition): end for partition, end in sorted(ends.items())}
        self._inbox.note_highwaters(named)
        if self._until_end:
            self._ends |= ends
            self._inbox.tell_ends(named.items())

    async def _read(self) -> None:
        tasks = [
            asyncio.ensure_future(each)
            for each in (self._reading.run(), self._group.follow_checkpoints(), self._group.watch())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            await ended([*tasks, *self._group.tasks], RETRY)

    async def _end(self) -> None:
        """Commit what is left and close, both bounded: Kafka may be away."""
        self._group.drained()
        try:
            await asyncio.wait_for(self._group.commit(), CLOSE_BOUND)
            await asyncio.wait_for(self._consumer.stop(), CLOSE_BOUND)
        except (asyncio.TimeoutError, errors.KafkaError) as error:
            logger.debug("closing: %r", error)

    def _fenced(self) -> None:
        self._inbox.fail(
            SourceError(
                f"another process with the instance id {self._membership.instance} has taken over in the"
                f" group {self._membership.group}: each needs an id of its own (COMPORTA_INSTANCE_ID)"
            )
        )
        self._stopping.set()
