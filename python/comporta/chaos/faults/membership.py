"""A group whose members come and go, and a topic that grows."""

from __future__ import annotations

import time

from comporta.chaos import processes
from comporta.chaos.fault import Breach, Fault
from comporta.chaos.system import System

CHANGES = 5
EVERY = 2.0  # seconds
MOST_MEMBERS = 4
FILLED = 30.0  # seconds within which each partition must have a record
MOST_PARTITIONS = 12


class Churn(Fault):
    """Members join and leave, drained or killed, every two seconds."""

    name = "churn"
    systems = ("cluster", "replicated")
    recovery = 120.0

    def inject(self, system: System) -> str:
        self.size = len(system.members)
        self.statuses: list[int] = []
        done = []
        for _ in range(CHANGES):
            began = time.monotonic()
            done.append(self._change(system))
            time.sleep(max(0.0, began + EVERY - time.monotonic()))
        return ", ".join(done)

    def heal(self, system: System) -> None:
        while len(system.members) < self.size:
            system.join()
        while len(system.members) > self.size:
            self._drain(system)
        if any(self.statuses):
            raise Breach(f"members that were to drain ended with {self.statuses}")

    def _change(self, system: System) -> str:
        can_join, can_leave = len(system.members) < MOST_MEMBERS, len(system.members) > 1
        how = self.chance.choice(["join"] * can_join + ["drain", "kill"] * can_leave)
        if how == "join":
            return f"{system.join().name} joins"
        if how == "drain":
            return f"{self._drain(system)} is drained"
        member = self.pick(system.members)
        system.leave(member, at_once=True)
        return f"{member.name} is killed"

    def _drain(self, system: System) -> str:
        member = self.pick(system.members)
        self.statuses.append(system.leave(member))
        return member.name


class Grow(Fault):
    """The topic gets one or two more partitions, unless it has many."""

    name = "grow"
    systems = ("cluster", "replicated")

    def inject(self, system: System) -> str:
        more = self.chance.choice((1, 2))
        return f"the topic has {system.cluster.grow(more, MOST_PARTITIONS)} partitions now"

    def heal(self, system: System) -> None:
        """Wait until all of them have records, so that recovery is that of all."""
        deadline = time.monotonic() + FILLED
        while not ((ends := system.ends()) and all(ends.values())) and time.monotonic() < deadline:
            time.sleep(0.1)


class GrowAfterKill(Grow):
    """The topic grows right after a member was killed, which may have been the one that shares them out."""

    name = "grow-after-kill"

    def inject(self, system: System) -> str:
        member = self.pick(system.members)
        member.expect_end()
        for pid in member.pids():
            processes.send(pid)
        return f"{member.name} was killed, and {super().inject(system)}"
