"""Dead letters and the replay log as topics of Kafka."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice

from aiokafka import ConsumerRecord, TopicPartition

from comporta import brokers, kafka_logs, payloads
from comporta.addresses import KafkaAddress
from comporta.errors import StoreError
from comporta.kafka_logs import Span
from comporta.letters.contract import LetterId, LetterStore, LetterWriter, identity, to_text
from comporta.letters.wire import LARGEST, from_message, size, to_message
from comporta.payloads import Letter
from comporta.waiting import Pauses

logger = logging.getLogger(__name__)

KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
IN_MEMORY = 32 << 20  # bytes of letters that are read; more of them go to a temporary file
AT_ONCE = 1_000  # letters that are messages at the same time
SMALLEST = 2_048  # bytes that a letter is not shortened below


class KafkaLetters(LetterStore):
    """The letters of one generation of `pipeline` in the topic of `address`, and its replay log.

    What is there is read once, and later on what was added: an index of it stays in memory.
    """

    def __init__(self, address: KafkaAddress, pipeline: str, generation: str) -> None:
        self._address = address
        self._pipeline = pipeline
        self._generation = generation
        self._spans: dict[TopicPartition, Span] = {}
        self._index: dict[LetterId, tuple[int, int]] = {}
        self._held = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115
        self._passed = (0, 0)  # a sequence of the replay log, and up to where others' letters follow it

    def letters(self) -> Iterator[Letter]:
        asyncio.run(self._catch_up())
        return map(self._load, sorted(self._index))

    def find(self, identity: LetterId) -> Letter | None:
        asyncio.run(self._catch_up())
        return self._load(identity) if identity in self._index else None

    def replay(self, identities: Sequence[LetterId]) -> None:
        asyncio.run(self._replay(identities))

    def replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        return asyncio.run(self._replay_after(sequence, limit))

    async def _catch_up(self) -> None:
        """Read what came since the last time."""
        (topic,) = (await brokers.find_topics(self._address, StoreError)).values()
        if topic is None:
            return
        partitions = [TopicPartition(self._address.topics[0], number) for number in topic.partitions]
        for partition, found in (await kafka_logs.bounds(self._address, partitions, StoreError)).items():
            self._spans.setdefault(partition, found).end = found.end
        await kafka_logs.read(self._address, self._spans, self._keep, StoreError)

    def _keep(self, _: TopicPartition, record: ConsumerRecord) -> bool:
        if letter := self._own(record):
            packed = payloads.pack(letter)
            position = self._held.seek(0, 2)
            self._held.write(packed)
            self._index[identity(letter)] = position, len(packed)
        return True

    def _own(self, record: ConsumerRecord) -> Letter | None:
        """The letter that a record is, if it is one of this generation."""
        found = from_message(record.key, record.value, record.headers)
        return found[2] if found and found[:2] == (self._pipeline, self._generation) else None

    def _load(self, identity: LetterId) -> Letter:
        position, length = self._index[identity]
        self._held.seek(position)
        letter: Letter = payloads.unpack(self._held.read(length))
        letter["headers"] = [(name, value) for name, value in letter["headers"]]
        return letter

    async def _replay(self, identities: Sequence[LetterId]) -> None:
        await self._catch_up()
        log = self._address.replay
        await brokers.make_topics(log, like=self._address.topics[0], config=KEPT, failure=StoreError)
        rest = iter(identities)
        while some := list(islice(rest, AT_ONCE)):
            letters = [self._load(identity) for identity in some]
            messages = {
                number: to_message(letter, self._pipeline, self._generation)
                for number, letter in enumerate(letters)
            }
            refused = await kafka_logs.append(log, messages, StoreError, partition=0)
            if refused:
                number = min(refused)
                raise StoreError(
                    f"{to_text(some[number])} is too large for the topic {log.topics[0]!r}: its"
                    f" max.message.bytes must be at least {size(messages[number])}"
                )

    async def _replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        entries: list[tuple[int, Letter]] = []

        def take(_: TopicPartition, record: ConsumerRecord) -> bool:
            if letter := self._own(record):
                entries.append((record.offset + 1, letter))
            return len(entries) < limit

        log = self._address.replay
        (topic,) = (await brokers.find_topics(log, StoreError)).values()
        if topic is None:
            return []
        partition = TopicPartition(log.topics[0], 0)
        (span,) = (await kafka_logs.bounds(log, [partition], StoreError)).values()
        after, passed = self._passed
        span.position = max(span.position, passed if after == sequence else sequence)
        await kafka_logs.read(log, {partition: span}, take, StoreError)
        if not entries:
            self._passed = sequence, span.position
        return entries


class KafkaLetterWriter(LetterWriter):
    """Writes the letters of `pipeline` to the topic of `address`, which is made where it is missing."""

    def __init__(self, address: KafkaAddress, pipeline: str) -> None:
        self._address = address
        self._pipeline = pipeline

    def write(self, generation: str, letters: Sequence[Letter]) -> None:
        if letters:
            asyncio.run(self._write(generation, letters))

    async def _write(self, generation: str, letters: Sequence[Letter]) -> None:
        source = self._address.topics[0].removesuffix(".dead")
        await brokers.make_topics(self._address, like=source, config=KEPT, failure=StoreError)
        rest = iter(letters)
        while some := list(islice(rest, AT_ONCE)):
            await self._write_some(generation, some)

    async def _write_some(self, generation: str, letters: Sequence[Letter]) -> None:
        limits = dict.fromkeys(range(len(letters)), LARGEST)
        pauses = Pauses()
        while limits:
            messages = {
                number: to_message(letters[number], self._pipeline, generation, limit)
                for number, limit in limits.items()
            }
            refused = await kafka_logs.append(self._address, messages, StoreError)
            if any(limits[number] == SMALLEST for number in refused):
                logger.warning(
                    "waiting for the topic %r: it does not even take a dead letter of %s bytes: raise its"
                    " max.message.bytes",
                    *(self._address.topics[0], SMALLEST),
                )
                await asyncio.sleep(pauses.next())
            limits = {number: max(SMALLEST, size(messages[number]) // 2) for number in refused}
