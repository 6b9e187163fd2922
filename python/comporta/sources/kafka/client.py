"""The event loop that reads Kafka, in a thread of its own: it fills the inbox, and follows the group."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiokafka import ConsumerRebalanceListener, errors
from aiokafka.structs import ConsumerRecord, TopicPartition

from comporta import brokers
from comporta.addresses import KafkaAddress
from comporta.errors import SourceError
from comporta.payloads import AssignedPartition, Known, Origin
from comporta.sinks.contract import REPLAY
from comporta.sources.contract import Batch, Limits
from comporta.sources.kafka.consumer import Consumer, can_slice
from comporta.sources.kafka.decoded import batches, replayed
from comporta.sources.kafka.inbox import Inbox
from comporta.sources.kafka.origin import offsets
from comporta.sources.kafka.slices import Slice

logger = logging.getLogger(__name__)

DRAIN_BOUND = 5.0  # seconds in which what is in flight may be finished before partitions are given up
POLL = 0.2  # seconds that one look for something fetched takes at most
COMMIT_EVERY = 1.0
WATCH_EVERY = 10.0  # seconds between two looks at the topics: whether they have grown, or were made anew
REJOIN_EVERY = 10.0
CLOSE_BOUND = 5.0
MOST_WAITING = 4  # batches, of the size aimed at, that wait to be asked for
LEAST_FETCH = 1 << 20  # bytes of one partition that are asked for at least
RETRY = 0.5

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Membership:
    """Who this process is in its group, and for how long it may be silent (milliseconds)."""

    group: str
    instance: str
    session_timeout: int = 45_000
    max_poll_interval: int = 300_000


class Client(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads topics, and the replay log if there is one, as a member of a group."""

    def __init__(
        self,
        address: KafkaAddress,
        replay: KafkaAddress | None,
        known: Known,
        until_end: bool,
        limits: Limits,
        membership: Membership,
        pipeline: str,
        inbox: Inbox,
        *,
        is_slicing: bool = True,
    ) -> None:
        self._address = address
        self._replay = replay
        self._known = known
        self._until_end = until_end
        self._limits = limits
        self._membership = membership
        self._pipeline = pipeline
        self._inbox = inbox
        self._is_slicing = is_slicing and can_slice()
        if is_slicing and not self._is_slicing:
            logger.warning("aiokafka is built otherwise than was expected: records are decoded in the source")
        self._topics = (*address.topics, *(replay.topics if replay else ()))
        self._ends: dict[TopicPartition, int] = {}
        self._ids: dict[str, str] = {}
        self._consumer: Consumer
        self._loop = asyncio.new_event_loop()
        self._drained = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._generation = -1
        self._evictions = 0
        self._commits: dict[TopicPartition, int] = {}
        self._rejoin_at = 0.0
        self._away = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.wants_drain = False
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)
        self._thread.start()

    # called by the other thread

    def follow(self, name: str) -> None:
        """Read a partition as the inbox has it from now on."""
        self._call(self._follow, name)

    def drained(self) -> None:
        """What was read has taken effect: partitions may be given up."""
        self.wants_drain = False
        self._call(self._drained.set)

    def go_on(self) -> None:
        """There is room in the inbox again."""
        self._call(self._room.set)

    def commit(self, name: str, upto: int) -> None:
        """Have Kafka's committed offset follow, in a while."""
        self._call(self._commits.__setitem__, self._partition(name), upto)

    def close(self) -> None:
        """Commit, and end; the group is not left, so that whoever comes next under this id takes over."""
        self._call(self._stopping.set)
        self._thread.join(2 * CLOSE_BOUND)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # the thread

    def _run(self) -> None:
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
        for task in (stopping, work, *self._tasks):
            task.cancel()
        outcomes = await asyncio.gather(work, return_exceptions=True)
        if isinstance(outcomes[0], Exception):
            raise outcomes[0]

    async def _work(self) -> None:
        await self._check_topics()
        self._consumer = Consumer(
            limits=self._limits if self._is_slicing else None,
            until=self._ends.get,
            is_decoded=self._is_replay,
            on_fenced=self._fenced,
            **brokers.settings(self._address),
            group_id=self._membership.group,
            group_instance_id=self._membership.instance,
            session_timeout_ms=self._membership.session_timeout,
            heartbeat_interval_ms=min(3000, self._membership.session_timeout // 3),
            rebalance_timeout_ms=max(60_000, self._membership.session_timeout),
            max_poll_interval_ms=self._membership.max_poll_interval,
            max_partition_fetch_bytes=max(LEAST_FETCH, self._limits.batch_bytes),
            fetch_max_bytes=max(LEAST_FETCH, self._limits.batch_bytes) * 4,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            metadata_max_age_ms=int(WATCH_EVERY * 1000),
        )
        try:
            self._consumer.subscribe(self._topics, listener=self)
            await self._answered(self._consumer.start)
            await self._check_offsets()
            self._consumer.join()
            work = [
                asyncio.ensure_future(each) for each in (self._poll(), self._follow_commits(), self._watch())
            ]
            try:
                done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                for task in work:
                    task.cancel()
        finally:
            await self._end()

    async def _end(self) -> None:
        """Commit what is left and close, both bounded: Kafka may be away."""
        with_bound = asyncio.wait_for(self._commit(), CLOSE_BOUND)
        try:
            await with_bound
            await asyncio.wait_for(self._consumer.stop(), CLOSE_BOUND)
        except (asyncio.TimeoutError, errors.KafkaError) as error:
            logger.debug("closing: %r", error)

    async def _answered(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `ask` gives, asked again while brokers are away."""
        while True:
            try:
                answer = await ask()
            except errors.KafkaError as error:
                if not error.retriable:
                    raise SourceError(f"Kafka at {self._servers()} refuses: {error}") from error
                self._say_away(str(error))
                await asyncio.sleep(RETRY)
            else:
                self._say_back()
                return answer

    def _say_away(self, reason: str) -> None:
        if not self._away:
            self._away = True
            logger.warning("waiting for Kafka at %s: %s", self._servers(), reason)

    def _say_back(self) -> None:
        if self._away:
            self._away = False
            logger.info("Kafka at %s answers again", self._servers())

    def _servers(self) -> str:
        return ",".join(self._address.servers)

    # at the start

    async def _check_topics(self) -> None:
        """Wait for Kafka, make the replay log if need be, and refuse topics that are not what they were."""
        self._ids = await brokers.find_topic_ids(self._address)
        if origin := self._known["origin"]:
            self._check_ids(origin["topics"])
        if self._replay:
            await asyncio.to_thread(
                brokers.ensure_topics,
                self._replay,
                like=self._address.topics[0],
                config={"retention.ms": "-1"},
            )

    def _check_ids(self, expected: dict[str, str]) -> None:
        for topic, id in expected.items():
            if topic in self._ids and self._ids[topic] != id:
                raise SourceError(
                    f"the topic {topic} was deleted and made anew since this generation began: its offsets"
                    " mean other records now; `comporta reset` begins a new generation"
                )

    async def _check_offsets(self) -> None:
        """Note where partitions end, and refuse positions beyond that."""
        partitions = self._all_partitions()
        ends = await self._answered(lambda: offsets(self._consumer, partitions, "latest"))
        for known in self._known["partitions"]:
            partition = self._partition(known["partition"])
            for _ in range(6):  # a new leader may not know for a moment how far its log is committed
                if known["upto"] <= ends.get(partition, known["upto"]):
                    break
                await asyncio.sleep(RETRY)
                ends |= await self._answered(lambda: offsets(self._consumer, partitions, "latest"))
            else:
                raise SourceError(_beyond(known["partition"], known["upto"], ends[partition]))
        self._inbox.note_highwaters({self._name(partition): end for partition, end in ends.items()})
        if self._until_end:
            self._ends |= ends
            self._inbox.tell_ends((self._name(partition), end) for partition, end in sorted(ends.items()))

    def _all_partitions(self) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(self._consumer.partitions_of(topic))
        ]

    # reading

    async def _poll(self) -> None:
        is_paused = False
        while True:
            if self._inbox.is_full():
                if not is_paused:
                    is_paused = True
                    self._consumer.pause(*self._consumer.assignment())
                self._consumer.touch()
                self._room.clear()
                await _bounded(self._room.wait(), POLL)
                continue
            if is_paused:
                is_paused = False
                for partition in self._consumer.assignment():
                    self._resume(partition)
            try:
                fetched = await self._consumer.getmany(timeout_ms=int(POLL * 1000))
            except errors.OffsetOutOfRangeError as error:
                for partition, offset in error.args[0].items():
                    await self._out_of_range(partition, offset)
            except errors.KafkaError as error:
                await self._failed(error)
            else:
                for partition, items in fetched.items():
                    self._take(partition, items)
                self._take_gaps()

    def _take(self, partition: TopicPartition, items: Sequence[Slice | ConsumerRecord]) -> None:
        name = self._name(partition)
        if items and isinstance(items[0], Slice):
            for item in items:
                self._inbox.put(
                    Batch(
                        partition=name,
                        shown=name,
                        format="kafka",
                        base=item.base,
                        first=item.first,
                        next=item.next,
                        count=item.count,
                        payload=item.payload,
                    )
                )
        else:
            self._take_records(partition, items)
        if (highwater := self._consumer.highwater(partition)) is not None:
            self._inbox.note_highwaters({name: highwater})
        self._resume(partition)

    def _take_records(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Take what was decoded between where the partition was fetched to, and where it is now."""
        name = self._name(partition)
        position = self._inbox.position(name)
        next = self._consumer.reached(partition)
        if position is None or next is None or next <= position[0]:
            return
        end = self._ends.get(partition)
        if end is not None and end < next:
            records, next = [record for record in records if record.offset < end], end
        made = (
            replayed(records, position[0], next, self._pipeline, self._known["generation"])
            if self._is_replay(partition)
            else batches(name, records, position[0], next, self._limits)
        )
        for batch in made:
            self._inbox.put(batch)

    def _take_gaps(self) -> None:
        """Move positions on where only what is no record was fetched, and decoded away."""
        for partition in self._consumer.assignment():
            if not self._is_slicing or self._is_replay(partition):
                self._take_records(partition, [])

    def _resume(self, partition: TopicPartition) -> None:
        """Fetch a partition, or not: not yet, or no more."""
        position = self._inbox.position(self._name(partition))
        end = self._ends.get(partition)
        if position is None or (end is not None and position[0] >= end) or self._inbox.is_full():
            self._consumer.pause(partition)
        else:
            self._consumer.resume(partition)

    def _follow(self, name: str) -> None:
        partition = self._partition(name)
        position = self._inbox.position(name)
        if position is not None and partition in self._consumer.assignment():
            offset, seek = position
            self._consumer.seek(partition, offset)
            self._inbox.followed(name, seek)
            self._resume(partition)

    async def _out_of_range(self, partition: TopicPartition, asked: int) -> None:
        name = self._name(partition)
        begins = await self._answered(lambda: offsets(self._consumer, [partition], "earliest"))
        ends = await self._answered(lambda: offsets(self._consumer, [partition], "latest"))
        begin, end = begins[partition], ends[partition]
        if asked > end:
            await self._look_at_ids()
            raise SourceError(_beyond(name, asked, end))
        if asked < begin and self._inbox.put(_nothing(name, asked, begin)):
            logger.error(
                "%s: %d offsets, from %d up to %d, are lost: Kafka deleted them before they were processed;"
                " longer retention of the topic would have kept them",
                name,
                begin - asked,
                asked,
                begin,
            )
            self._inbox.count_lost(begin - asked)
        self._follow(name)

    async def _failed(self, error: errors.KafkaError) -> None:
        """Say what cannot be mended, and wait a moment for everything else."""
        if isinstance(error, (errors.GroupAuthorizationFailedError, errors.TopicAuthorizationFailedError)):
            raise SourceError(
                f"Kafka at {self._servers()} does not allow this user to read: {error}"
            ) from error
        if isinstance(error, errors.CorruptRecordException):
            raise SourceError(f"what Kafka at {self._servers()} holds is damaged: {error}") from error
        if isinstance(error, (errors.InconsistentGroupProtocolError, errors.InvalidSessionTimeoutError)):
            raise SourceError(
                f"the group {self._membership.group} does not take this process in: {error}"
            ) from error
        if isinstance(error, errors.NoOffsetForPartitionError):
            return
        self._consumer.coordinator.check_errors()
        logger.debug("reading: %r", error)
        await asyncio.sleep(RETRY)

    # the group

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Have what is in flight finished, within a bound, before others may take over."""
        if not self._inbox.begin_rebalance():
            return
        self._drained.clear()
        self.wants_drain = True
        if not await _bounded(self._drained.wait(), DRAIN_BOUND):
            logger.warning("what was in flight was not finished within %g s of a rebalance", DRAIN_BOUND)
        self.wants_drain = False

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Go on where partitions come straight back; tell of others."""
        assigned = sorted(assigned)
        for partition in assigned:
            self._consumer.pause(partition)
            self._consumer.seek(partition, 0)  # a position, or the fetcher would look for a committed one
        coordinator = self._consumer.coordinator
        is_straight = (
            coordinator.evictions == self._evictions and coordinator.generation - self._generation <= 1
        )
        self._evictions, self._generation = coordinator.evictions, coordinator.generation
        kept, new = self._inbox.assign(map(self._name, assigned), is_straight)
        for name in kept:
            self._follow(name)
        task = asyncio.ensure_future(self._introduce(new))
        self._tasks.add(task)
        task.add_done_callback(self._introduced)

    async def _introduce(self, names: list[str]) -> None:
        origin: Origin = self._known["origin"] or Origin(topics={}, starts={})
        starts = dict(origin["starts"])
        if unknown := [self._partition(name) for name in names if name not in starts]:
            found = await self._answered(lambda: offsets(self._consumer, unknown, "earliest"))
            starts |= {self._name(partition): offset for partition, offset in found.items()}
        self._inbox.introduce(
            AssignedPartition(partition=name, shown=name, start=starts[name], meta=b"") for name in names
        )

    def _introduced(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._inbox.fail(error)

    def _fenced(self) -> None:
        self._inbox.fail(
            SourceError(
                f"another process with the instance id {self._membership.instance} has taken over in the"
                f" group {self._membership.group}: each needs an id of its own (COMPORTA_INSTANCE_ID)"
            )
        )
        self._stopping.set()

    async def _follow_commits(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY)
            await self._commit()

    async def _commit(self) -> None:
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

    async def _watch(self) -> None:
        """Look again and again whether topics have grown, or were made anew, and whether Kafka is there."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                if not await self._consumer.look():
                    self._say_away("no broker answers")
                    continue
                self._say_back()
                await self._look_at_ids()
                await self._look_for_partitions()
            except errors.KafkaError as error:
                logger.debug("watching: %r", error)

    async def _look_at_ids(self) -> None:
        before = self._ids
        self._ids = await brokers.find_topic_ids(self._address)
        self._check_ids(before)

    async def _look_for_partitions(self) -> None:
        """Rejoin if partitions belong to nobody: only the member that the broker holds to be the leader can
        have them shared out, and one that has restarted does not know that it is.
        """
        assigned = await self._consumer.coordinator.assigned_to_anyone()
        missing = set(self._all_partitions()) - assigned if assigned is not None else set()
        if missing and time.monotonic() >= self._rejoin_at:
            self._rejoin_at = time.monotonic() + REJOIN_EVERY
            logger.info("nobody reads %s yet", ", ".join(map(self._name, sorted(missing))))
            self._consumer.coordinator.request_rejoin()

    # names

    def _is_replay(self, partition: TopicPartition) -> bool:
        return self._replay is not None and partition.topic == self._replay.topics[0]

    def _name(self, partition: TopicPartition) -> str:
        return REPLAY if self._is_replay(partition) else f"{partition.topic}/{partition.partition}"

    def _partition(self, name: str) -> TopicPartition:
        if name == REPLAY and self._replay:
            return TopicPartition(self._replay.topics[0], 0)
        topic, _, number = name.rpartition("/")
        return TopicPartition(topic, int(number))


def _nothing(name: str, first: int, next: int) -> Batch:
    return Batch(
        partition=name,
        shown=name,
        format="kafka",
        base=first,
        first=first,
        next=next,
        count=0,
        payload=b"",
    )


def _beyond(name: str, offset: int, end: int) -> str:
    return (
        f"{name} ends at offset {end}, and what was processed ends at {offset}: the topic was made anew, or"
        " has lost records; `comporta reset` begins a new generation"
    )


async def _bounded(awaitable: Awaitable[object], seconds: float) -> bool:
    """Whether it came to its end in time."""
    try:
        await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        return False
    return True
