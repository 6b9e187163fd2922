"""What a fault is: something that goes wrong, and how it is put right.

To add one, write a class in a new file of `faults/`; it is found there.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, TypeVar

from comporta.chaos.system import System
from comporta.chaos.workload import SYSTEMS, Kind, Workload

Target = TypeVar("Target")


class Breach(Exception):
    """What a fault has found wrong with the system, in words. The trial goes on, if it could be injected."""


class Fault(ABC):
    """Something that goes wrong, and how it is put right; a new instance for each time.

    `chance` decides whatever is left to chance in it, so that a seed repeats it; with a `turn`, that decides
    which process it is. `seconds` is how long it is held; `recovery` is how long the system may take
    afterwards until all that was acknowledged is durable. One that `needs_own` is for services that the suite
    has brought up itself: they are behind proxies, and hold nothing of anybody else's. After one that
    `may_lose_claims`, duplicates may count again.
    """

    name: ClassVar[str]
    systems: ClassVar[tuple[Kind, ...]] = SYSTEMS
    seconds: float = 0.0
    recovery: ClassVar[float] = 90.0
    needs_own: ClassVar[bool] = False
    may_lose_claims: ClassVar[bool] = False

    def __init__(self, chance: random.Random, turn: int | None = None) -> None:
        self.chance = chance
        self._turn = turn

    @classmethod
    def missing(cls) -> str | None:
        """What this machine lacks for it, in words; None where it can be done."""
        return None

    @classmethod
    def suits(cls, workload: type[Workload]) -> bool:
        """Whether it can be injected where that workload runs; any, by default."""
        return True

    @classmethod  # noqa: B027
    def prepare(cls, system: System) -> None:
        """Make ready what it needs, before that system starts; nothing by default."""

    def is_survived(self, system: System) -> bool:
        """Whether the system must recover while this lasts, as others take over; it need not, by default."""
        return False

    @classmethod
    def turns(cls, system: System) -> int:
        """Of how many processes it ends one without warning, and nothing else; 0 for any other fault."""
        return 0

    def pick(self, targets: Sequence[Target]) -> Target:
        """The one of these whose turn it is, or else one by chance."""
        return self.chance.choice(targets) if self._turn is None else targets[self._turn]

    @abstractmethod
    def inject(self, system: System) -> str:
        """Do it, and say to what. An end of a member that may come of it is announced (`expect_end`).

        Raises `Breach` where it cannot be done because of what is wrong with the system.
        """

    def heal(self, system: System) -> None:  # noqa: B027
        """Put it right, after `seconds`; nothing by default. Raises `Breach` for what it finds, last."""
