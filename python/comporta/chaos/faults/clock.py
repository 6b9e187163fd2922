"""Clocks that jump by hours, and back: of one member, while all others keep their time."""

from __future__ import annotations

from typing import ClassVar

from comporta.chaos import clock, processes
from comporta.chaos.fault import Fault
from comporta.chaos.system import System

LEAST, MOST = 1.0, 20.0  # hours


class ClockFault(Fault):
    """A member's clock is wrong for some seconds; half of the time it is killed then, and starts by it."""

    seconds = 6.0
    direction: ClassVar[int]

    @classmethod
    def missing(cls) -> str | None:
        return clock.missing()

    @classmethod
    def prepare(cls, system: System) -> None:
        system.use_clock()

    def inject(self, system: System) -> str:
        assert system.clock
        member = self.pick(system.members)
        hours = self.direction * self.chance.uniform(LEAST, MOST)
        self._member = member.name
        system.clock.set(member.name, hours)
        target = f"{member.name}, by {hours:+.1f} h"
        if self.chance.random() < 0.5:
            return target
        member.expect_end()
        for pid in member.pids():
            processes.send(pid)
        return f"{target}, and it is killed"

    def heal(self, system: System) -> None:
        assert system.clock
        system.clock.set(self._member, 0)


class ClockForward(ClockFault):
    name, direction = "clock-forward", 1


class ClockBack(ClockFault):
    name, direction = "clock-back", -1
