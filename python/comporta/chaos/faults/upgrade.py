"""Other code, or another release, rolled out: one member after another is drained and started again."""

from __future__ import annotations

import shutil
import threading
import time

from comporta.chaos import processes
from comporta.chaos.fault import Breach, Fault
from comporta.chaos.member import Member
from comporta.chaos.system import HEARTBEAT, SESSION, System
from comporta.cli.release import find_release

POLL = 0.05
WHOLE = 60.0  # seconds within which a member must have all its processes again


class Upgrade(Fault):
    """The pipeline's file has other code, and members are restarted: the group must not notice.

    A member that is back within its session takes its own partitions, without a new generation of the group.
    """

    name = "upgrade"
    recovery = 120.0

    def inject(self, system: System) -> str:
        self.found: list[str] = []
        self.prepare_next(system)
        pauses = [self._restart(system, member) for member in list(system.members)]
        return f"all members, away for {', '.join(f'{pause:.1f}' for pause in pauses)} s"

    def heal(self, system: System) -> None:
        if self.found:
            raise Breach("; ".join(self.found))

    def prepare_next(self, system: System) -> None:
        """Have what members find when they start again."""
        version = self.chance.randrange(10**6)
        head = f'"""Version {version}, which counts what the ones before counted."""\n\nVERSION = {version}\n'
        system.file.write_text(head + system.workload.code)

    def _restart(self, system: System, member: Member) -> float:
        """Drain a member and start it; the seconds until it was back, from the end of its source on."""
        if system.kind == "embedded":
            ended = self._drain(member)
            member.start()
        else:
            group = system.cluster.group
            group.wait_for(lambda members: len(members) == len(system.members), WHOLE)
            before, members = group.generation(), group.members()
            ended = self._drain(member)
            member.start()
            group.wait_for(lambda now: len(now) == len(system.members) and now != members, WHOLE)
            pause, after = time.monotonic() - ended, group.generation()
            if after != before and pause < SESSION - HEARTBEAT:
                words = f"{member.name} was away for {pause:.1f} s, and the group's generation went from"
                self.found.append(f"{words} {before} to {after}")
        if not system.wait_until_whole(WHOLE):
            self.found.append(f"{member.name} was not whole again within {WHOLE:.0f} s")
        return time.monotonic() - ended

    def _drain(self, member: Member) -> float:
        """Drain a member; when its source ended."""
        sources = member.pids("source")
        statuses: list[int] = []
        draining = threading.Thread(target=lambda: statuses.append(member.stop()))
        draining.start()
        while draining.is_alive() and any(pid in processes.living() for pid in sources):
            time.sleep(POLL)
        ended = time.monotonic()
        draining.join()
        if any(statuses):
            self.found.append(f"{member.name}, which was to drain, ended with {statuses[0]}")
        return ended


class UpgradeRelease(Upgrade):
    """Members are restarted from another release's folder, of the same version: the group must not notice."""

    name = "upgrade-release"

    def prepare_next(self, system: System) -> None:
        folder = system.folder / f"release-{self.chance.randrange(10**6)}"
        shutil.copytree(find_release(), folder)
        system.use_release(folder)
        self._folder = folder

    def heal(self, system: System) -> None:
        living = processes.living()
        for member in system.members:
            lines = [living[pid][1] for pid in member.pids("beam") if pid in living]
            if not any(str(self._folder) in line for line in lines):
                self.found.append(f"{member.name} does not run from {self._folder.name}")
        super().heal(system)
