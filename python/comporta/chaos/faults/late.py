"""A flush that is decided and not yet applied when its owner freezes: its rows come after newer ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from comporta import addresses, consumer_groups
from comporta.chaos.fault import Breach
from comporta.chaos.faults.freeze import TAKEN, Freeze
from comporta.chaos.member import Member
from comporta.chaos.positions import CassandraPosition
from comporta.chaos.system import System

DELAY = 0.3  # seconds that an answer takes, so that a decision is seen before its owner hears of it
SEEN = 20.0  # seconds within which there must be one

Reached = Mapping[str, int]
"""The offset before which everything is decided, by partition."""


class ZombieFlush(Freeze):
    """A member is frozen as a flush of its was just decided, and woken once others have flushed more.

    It is taken out of the group for dead, as by `comporta drain --leave --instance`: others take over at once
    then, and it does not take the answer for missing, which would have it ask again before it applies.
    """

    name, role = "zombie-flush", None
    systems = ("cluster",)
    needs_own = True
    seconds = 0.0

    def inject(self, system: System) -> str:
        owners = _owners(system)
        proxy = system.cluster.proxies["cassandra"]
        with contextlib.closing(system.cluster.position()) as position:
            proxy.delay = DELAY
            before = wait_for(position, lambda reached: owners.keys() <= reached.keys(), SEEN)
            after = wait_for(position, lambda reached: reached != before, SEEN)
            member = owners[max(owners, key=lambda name: after[name] - before[name])]
            target = self.freeze(member)
        proxy.clear()
        self._member = member
        self._decided = {name: after[name] for name, owner in owners.items() if owner is member}
        return target

    def heal(self, system: System) -> None:
        cluster = system.cluster
        address = addresses.kafka(f"kafka://{cluster.services.kafka}/{cluster.topic}")
        consumer_groups.leave(address, cluster.topic, [self._member.instance])
        with contextlib.closing(cluster.position()) as position:
            reached = wait_for(position, self._is_taken, TAKEN)
        super().heal(system)
        if not self._is_taken(reached):
            raise Breach(f"others had not taken its partitions {TAKEN:.0f} s after it had to leave")

    def _is_taken(self, reached: Reached) -> bool:
        return all(reached[name] > upto for name, upto in self._decided.items())


def wait_for(position: CassandraPosition, holds: Callable[[Reached], bool], seconds: float) -> Reached:
    """How far all partitions are, once that is such, or else after so long."""
    deadline = time.monotonic() + seconds
    reached: Reached = {}
    while time.monotonic() < deadline:
        if durable := position():
            reached = durable.reached
            if holds(reached):
                break
    return reached


def _owners(system: System) -> dict[str, Member]:
    """Who has which partition."""
    cluster = system.cluster
    if not cluster.group.wait_for(lambda members: len(members) == len(cluster.members), TAKEN):
        raise Breach(f"not all members were in the group within {TAKEN:.0f} s")
    return {
        f"{cluster.topic}/{number}": member
        for id, numbers in (cluster.group.members() or {}).items()
        for member in cluster.members
        if id.startswith(member.instance)
        for number in numbers
    }
