"""What a fault is: something that goes wrong, and how it is put right.

To add one, write a class in a new file of `faults/`; it is found there.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from typing import ClassVar

from comporta.chaos.system import System
from comporta.chaos.workload import SYSTEMS, Kind, Workload


class Breach(Exception):
    """What a fault has found wrong with the system, in words. The trial goes on."""


class Fault(ABC):
    """Something that goes wrong, and how it is put right; a new instance for each time.

    `chance` decides whatever is left to chance in it, so that a seed repeats it. `seconds` is how long it is
    held; `recovery` is how long the system may take afterwards until all that was acknowledged is durable.
    """

    name: ClassVar[str]
    systems: ClassVar[tuple[Kind, ...]] = SYSTEMS
    seconds: ClassVar[float] = 0.0
    recovery: ClassVar[float] = 90.0

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it, in words; None where it can be done."""
        return None

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        """Whether it can be injected where that workload runs; any, by default."""
        return True

    @abstractmethod
    def inject(self, system: System) -> str:
        """Do it, and say to what. An end of a member that may come of it is announced (`expect_end`)."""

    def heal(self, system: System) -> None:  # noqa: B027
        """Put it right, after `seconds`; nothing by default. Raises `Breach` for what it finds, last."""
