"""Processes that stand still for a while, as on a machine that swaps, and go on where they were."""

from __future__ import annotations

import signal
from typing import ClassVar

from comporta.chaos import processes
from comporta.chaos.fault import Breach, Fault
from comporta.chaos.member import Member
from comporta.chaos.system import SESSION, System
from comporta.chaos.workload import Workload

TAKEN = 30.0  # seconds within which others must have the partitions of one that stands still


class Freeze(Fault):
    """Freezes the processes of a role, or all, of any member."""

    role: ClassVar[str | None]
    seconds = 3.0

    def inject(self, system: System) -> str:
        return self.freeze(self.pick(system.members))

    def freeze(self, member: Member) -> str:
        """Have its processes stand still; what to say of it."""
        self.frozen = member.pids(self.role)
        for pid in self.frozen:
            processes.send(pid, signal.SIGSTOP)
        return f"{self.role or 'all processes'} of {member.name}"

    def heal(self, system: System) -> None:
        for pid in self.frozen:
            processes.send(pid, signal.SIGCONT)


class FreezeWorker(Freeze):
    name, role = "freeze-worker", "worker"


class FreezeSource(Freeze):
    name, role = "freeze-source", "source"


class FreezeStore(Freeze):
    name, role = "freeze-store", "store"


class FreezeClaims(Freeze):
    name, role = "freeze-claims", "claims"

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        return workload.deduplicates


class FreezeBeam(Freeze):
    name, role = "freeze-beam", "beam"


class FreezeCommand(Freeze):
    name, role = "freeze-command", "command"


class FreezeRelease(Freeze):
    name, role = "freeze-release", None


class HangWorker(Freeze):
    """A worker that does not answer in time."""

    name, role, seconds = "hang-worker", "worker", 8.0


class Zombie(Freeze):
    """Frozen past its session, and woken when others have its partitions."""

    seconds = SESSION + 4.0
    systems = ("cluster", "replicated")

    def heal(self, system: System) -> None:
        others = len(system.members) - 1
        is_taken = system.cluster.group.wait_for(lambda members: len(members) == others, TAKEN)
        super().heal(system)
        if not is_taken:
            raise Breach(f"others had not taken its partitions {self.seconds + TAKEN:.0f} s after it froze")


class ZombieRelease(Zombie):
    name, role = "zombie-release", None


class ZombieBeam(Zombie):
    name, role = "zombie-beam", "beam"


class ZombieSource(Zombie):
    name, role = "zombie-source", "source"
