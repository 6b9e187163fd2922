"""kill -9 of one process of a run, or of all of them."""

from __future__ import annotations

from typing import ClassVar

from comporta.chaos import processes
from comporta.chaos.fault import Fault
from comporta.chaos.system import System
from comporta.chaos.workload import Workload


class Kill(Fault):
    """Kills one process of a role, of any member."""

    role: ClassVar[str]
    ends: ClassVar[bool] = False
    """Whether the member ends by it."""

    @classmethod
    def turns(cls, system: System) -> int:
        return len(system.members)

    def inject(self, system: System) -> str:
        member = self.pick(system.members)
        victim = self.chance.choice(member.pids(self.role))
        if self.ends:
            member.expect_end()
        processes.send(victim)
        return f"{self.role} of {member.name}, process {victim}"


class KillWorker(Kill):
    name, role = "kill-worker", "worker"


class KillSource(Kill):
    name, role = "kill-source", "source"


class KillStore(Kill):
    name, role = "kill-store", "store"


class KillClaims(Kill):
    name, role = "kill-claims", "claims"

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        return workload.deduplicates


class KillBeam(Kill):
    name, role, ends = "kill-beam", "beam", True


class KillCommand(Kill):
    name, role, ends = "kill-command", "command", True


class KillRelease(Fault):
    """Kills every process of a member at once, as a machine that loses its power does."""

    name = "kill-release"

    def inject(self, system: System) -> str:
        member = self.chance.choice(system.members)
        pids = member.pids()
        member.expect_end()
        for pid in pids:
            processes.send(pid)
        return f"all {len(pids)} processes of {member.name}"
