"""What passes between the event loop that reads Kafka and the thread that asks the source for batches.

Every method is quick and may be called from either thread.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from comporta.payloads import AssignedPartition
from comporta.sources.contract import Batch, Limits
from comporta.sources.kafka.joining import take_joined

MOST_WAITING = 4  # batches, of the size aimed at, that wait to be asked for
OVERHEAD = 512  # bytes that a batch takes beside its payload


@dataclass
class Owned:
    """A partition that is assigned to this process.

    `seeks` counts how often it was said from where to read it, and `followed` is the last of them that the
    consumer has followed: what comes between the two is of an earlier position. `fetched` is where the next
    batch begins.
    """

    name: str
    seeks: int = 0
    followed: int = 0
    fetched: int = 0
    queue: deque[Batch] = field(default_factory=deque)


class Inbox:
    """Batches that wait, by partition, the partitions themselves, and news of both.

    It is full once several batches of the size aimed at wait, until half of them have been taken.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most_bytes = MOST_WAITING * limits.batch_bytes
        self._lock = threading.Lock()
        self._owned: dict[str, Owned] = {}
        self._turns: deque[str] = deque()  # partitions with batches, the next one first
        self._held_bytes = 0
        self._is_full = False
        self._highwaters: dict[str, int] = {}
        self._new: dict[str, AssignedPartition] = {}
        self._revoked: list[str] = []
        self._ends: list[tuple[str, int]] = []
        self._failure: BaseException | None = None
        self._is_rebalancing = False
        self._wants_drain = False
        self._is_listed = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._is_signalled = False

    # of the event loop

    def put(self, batch: Batch) -> bool:
        """Take a batch, unless it is not the one that follows."""
        with self._lock:
            owned = self._owned.get(batch.partition)
            if owned is None or owned.seeks != owned.followed or owned.fetched != batch.first:
                return False
            owned.fetched = batch.next
            if not owned.queue and batch.partition not in self._turns:
                self._turns.append(batch.partition)
            owned.queue.append(batch)
            self._held_bytes += len(batch.payload) + OVERHEAD
            self._is_full = self._is_full or self._held_bytes >= self._most_bytes
            self._signal()
            return True

    def is_full(self) -> bool:
        """Whether no more should be put for now."""
        with self._lock:
            return self._is_full

    def assign(self, names: Iterable[str], is_straight: bool) -> tuple[list[str], list[str]]:
        """These, and no others, are assigned now; gives those that stay and those that are new.

        Unless it `is_straight`, others may have had them meanwhile, and none stays.
        """
        with self._lock:
            names = list(names)
            kept = [name for name in names if is_straight and name in self._owned]
            for name in list(self._owned):
                if name not in kept:
                    self._lose(name)
            new = [name for name in names if name not in self._owned]
            for name in new:
                self._owned[name] = Owned(name)
            self._is_rebalancing = False
            if self._turns:
                self._signal()
            return kept, new

    def _lose(self, name: str) -> None:
        owned = self._owned.pop(name)
        self._forget(owned)
        if self._new.pop(name, None) is None:
            self._revoked.append(name)

    def introduce(self, partitions: Iterable[AssignedPartition]) -> None:
        """Tell of new partitions, those that are still assigned."""
        with self._lock:
            self._new |= {each["partition"]: each for each in partitions if each["partition"] in self._owned}
            self._is_listed = True

    def begin_rebalance(self) -> bool:
        """Give no more batches until partitions are assigned again; whether there are any."""
        with self._lock:
            self._is_rebalancing = True
            return any(owned.seeks for owned in self._owned.values())

    def want_drain(self, wants: bool) -> None:
        """Whether what is in flight had best be finished now."""
        with self._lock:
            self._wants_drain = wants

    def position(self, name: str) -> tuple[int, int] | None:
        """From where a partition is to be read on, and which seek that follows; None: not at all yet."""
        with self._lock:
            owned = self._owned.get(name)
            return (owned.fetched, owned.seeks) if owned and owned.seeks else None

    def followed(self, name: str, seek: int) -> None:
        """The consumer reads a partition as that seek said."""
        with self._lock:
            if owned := self._owned.get(name):
                owned.followed = seek

    def names(self) -> list[str]:
        """The partitions that are assigned."""
        with self._lock:
            return list(self._owned)

    def note_highwaters(self, offsets: dict[str, int]) -> None:
        """Where partitions end by now."""
        with self._lock:
            self._highwaters |= offsets

    def tell_ends(self, ends: Iterable[tuple[str, int]]) -> None:
        """Where partitions ended at the start."""
        with self._lock:
            self._ends += ends

    def fail(self, error: BaseException) -> None:
        """Raise `error` from every question from now on."""
        with self._lock:
            self._failure = self._failure or error
            self._signal()

    # of the thread that asks

    def check(self) -> None:
        """Raise what has failed."""
        if self._failure is not None:
            raise self._failure

    def seek(self, name: str, offset: int) -> bool:
        """Read a partition from `offset` on; False if it is not assigned any more."""
        with self._lock:
            owned = self._owned.get(name)
            if owned is None:
                return False
            self._forget(owned)
            owned.seeks += 1
            owned.fetched = offset
            return True

    def _forget(self, owned: Owned) -> None:
        for batch in owned.queue:
            self._held_bytes -= len(batch.payload) + OVERHEAD
        owned.queue.clear()
        self._is_full = self._is_full and self._held_bytes > self._most_bytes // 2

    def wants_drain(self) -> bool:
        """Whether what is in flight had best be finished now."""
        with self._lock:
            return self._wants_drain

    def take(self) -> tuple[Batch | None, bool]:
        """The next batch, in turn by partition, and whether there is room again since."""
        with self._lock:
            while self._turns and not self._is_rebalancing:
                owned = self._owned.get(self._turns.popleft())
                if owned is None or not owned.queue:
                    continue
                batch, parts = take_joined(owned.queue, self._limits)
                if owned.queue:
                    self._turns.append(owned.name)
                self._held_bytes -= len(batch.payload) + parts * OVERHEAD
                has_room_again = self._is_full and self._held_bytes <= self._most_bytes // 2
                self._is_full = self._is_full and not has_room_again
                return batch, has_room_again
            if self._is_signalled:
                self._reader.recv(64)
                self._is_signalled = False
            return None, False

    def has_news(self) -> bool:
        """Whether there are new partitions, losses or ends to tell of."""
        with self._lock:
            return bool(self._new or self._revoked or self._ends)

    def news(self) -> list[AssignedPartition]:
        """New partitions, but for those whose loss is not known yet."""
        with self._lock:
            told = [each for name, each in self._new.items() if name not in self._revoked]
            for each in told:
                del self._new[each["partition"]]
            return told

    def losses(self) -> list[str]:
        """Partitions that were lost."""
        with self._lock:
            revoked, self._revoked = self._revoked, []
            return revoked

    def is_listed(self) -> bool:
        """Whether the first partitions were told of."""
        with self._lock:
            return self._is_listed and not self._new

    def ends(self) -> list[tuple[str, int]]:
        """What `tell_ends` was told, once."""
        with self._lock:
            ends, self._ends = self._ends, []
            return ends

    def highwaters(self) -> list[tuple[str, int]]:
        """Partitions that are assigned and where they end by now, as far as that is known."""
        with self._lock:
            return [(name, self._highwaters[name]) for name in self._owned if name in self._highwaters]

    def descriptors(self) -> list[int]:
        """What becomes readable once there is something to take, if anything is read at all."""
        with self._lock:
            is_read = any(owned.seeks for owned in self._owned.values())
            return [self._reader.fileno()] if is_read or self._failure else []

    def _signal(self) -> None:
        if not self._is_signalled:
            self._is_signalled = True
            self._writer.send(b"!")
