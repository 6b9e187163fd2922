"""Who sends the events, and keeps a record of which ones were acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from array import array
from collections import Counter, deque
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from comporta.chaos import harness
from comporta.chaos.workload import Event, Workload

TICK = 0.02  # seconds between two looks at how many events are due
MOST_WAITING = 4000  # events that wait for their acknowledgement, beyond which no more are sent
REQUEST_TIMEOUT_MS = 10_000  # after which the other brokers are asked who leads now


class Producer(ABC):
    """Sends a workload's events at its rate, in a thread of its own, until `finish`.

    `acknowledged` has the numbers of the events that were, and `poisoned` the kinds of the poison records.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.acknowledged: array[int] = array("q")
        self.poisoned: list[str] = []
        self.failure: BaseException | None = None
        self._poisons: deque[str] = deque()
        self._next = 0
        self._must_end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def total(self) -> int:
        """How many records were acknowledged, poison among them."""
        return len(self.acknowledged) + len(self.poisoned)

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self.failure:
            raise self.failure

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def finish(self) -> None:
        """Send no more, and return when all that was sent is acknowledged. Raises what went wrong."""
        self._must_end.set()
        self._thread.join()
        self.check()

    def poison(self, kind: str) -> None:
        """Send a poison record, soon."""
        self._poisons.append(kind)

    def _run(self) -> None:
        try:
            self._send()
        except BaseException as error:
            self.failure = error

    @abstractmethod
    def _send(self) -> None: ...

    def _due(self, began: float, most: int = MOST_WAITING) -> list[tuple[int, Event]]:
        """Events that should have been sent by now, with their numbers."""
        due = min(self.workload.due(time.monotonic() - began), self._next + most)
        numbers = range(self._next, max(due, self._next))
        self._next = numbers.stop
        return [(number, self.workload.event(number)) for number in numbers]

    def _poison(self) -> tuple[str, Event] | None:
        if not self._poisons:
            return None
        kind = self._poisons.popleft()
        return kind, Event(harness.poison(kind, len(self.poisoned)))


class FileProducer(Producer):
    """Appends lines to files, which it also rotates: what was written is acknowledged."""

    def __init__(self, workload: Workload, folder: Path, files: int) -> None:
        super().__init__(workload)
        folder.mkdir(parents=True)
        self.paths = [folder / f"part-{number}.log" for number in range(files)]
        self.lines: Counter[str] = Counter()
        """How many were written to each file, as `part-0`."""
        self.lock = threading.Lock()
        """Held while lines are written: who holds it may rename and truncate."""
        for path in self.paths:
            path.touch()

    def _send(self) -> None:
        began = time.monotonic()
        while not self._must_end.wait(TICK):
            due = self._due(began)
            poison = self._poison()
            with self.lock:
                for part, path in enumerate(self.paths):
                    mine = [(number, event) for number, event in due if number % len(self.paths) == part]
                    with path.open("ab") as file:
                        file.write(b"".join(event.value + b"\n" for _, event in mine))
                    self.acknowledged.extend(number for number, _ in mine)
                    self.lines[path.stem] += len(mine)
                if poison:
                    with self.paths[0].open("ab") as file:
                        file.write(poison[1].value + b"\n")
                    self.poisoned.append(poison[0])
                    self.lines[self.paths[0].stem] += 1


class KafkaProducer(Producer):
    """Sends to a topic, idempotently, with the acknowledgement of all replicas in sync, for ever."""

    def __init__(self, workload: Workload, servers: str, topic: str) -> None:
        super().__init__(workload)
        self._servers = servers
        self._topic = topic

    def _send(self) -> None:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that brokers are away is meant
        asyncio.run(self._work())

    async def _work(self) -> None:
        producer = await self._connect()
        try:
            await self._send_events(producer)
        finally:
            await producer.stop()

    async def _connect(self, **settings: str) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=10,
            max_request_size=8 << 20,
            retry_backoff_ms=100,
            metadata_max_age_ms=2000,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **settings,
        )
        # However long there is no leader: a batch that was given up would leave a gap, and end all others.
        producer._message_accumulator._batch_ttl = math.inf
        await producer.start()
        return producer

    async def _send_events(self, producer: AIOKafkaProducer) -> None:
        began = time.monotonic()
        waiting: deque[tuple[int | str, Awaitable[object]]] = deque()
        while not self._must_end.is_set() or waiting:
            await asyncio.sleep(TICK)
            if not self._must_end.is_set() and len(waiting) < MOST_WAITING:
                for number, event in self._due(began):
                    waiting.append((number, await self._to(producer, event, number)))
                if poison := self._poison():
                    waiting.append((poison[0], await self._to(producer, poison[1], self._next)))
            while waiting and (self._must_end.is_set() or waiting[0][1].done()):  # type: ignore[attr-defined]
                which, acknowledgement = waiting.popleft()
                await acknowledgement
                self._note(which)

    async def _to(self, producer: AIOKafkaProducer, event: Event, number: int) -> Awaitable[Any]:
        partitions = sorted(await producer.partitions_for(self._topic))
        while True:
            with contextlib.suppress(KafkaTimeoutError):  # there was no room: it was not sent
                sent: Awaitable[Any] = await producer.send(
                    self._topic,
                    event.value,
                    key=event.key,
                    partition=partitions[number % len(partitions)],
                    timestamp_ms=event.timestamp,
                    headers=list(event.headers),
                )
                return sent

    def _note(self, which: int | str) -> None:
        if isinstance(which, int):
            self.acknowledged.append(which)
        else:
            self.poisoned.append(which)
