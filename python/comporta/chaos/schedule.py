"""Which fault comes when: decided by a seed alone, so that the seed repeats it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from comporta.chaos.fault import Fault
from comporta.chaos.system import System

LEAST_PAUSE, LONGEST_PAUSE = 0.5, 2.0  # seconds between the recovery from a fault and the next one


class Planned(NamedTuple):
    """A fault, and the seconds that pass before it."""

    pause: float
    fault: Fault


def schedule(seed: int, workload: str, faults: Sequence[type[Fault]]) -> Iterator[Planned]:
    """Faults without an end: all of them in an order of chance, then all again in another.

    What is left to chance within a fault is decided here, too, whatever came before it.
    """
    chance = random.Random(f"{seed} {workload}")
    while True:
        for fault in chance.sample(list(faults), len(faults)):
            pause = chance.uniform(LEAST_PAUSE, LONGEST_PAUSE)
            yield Planned(pause, fault(random.Random(chance.random())))


def each_process(seed: int, system: System, faults: Sequence[type[Fault]]) -> Iterator[Planned]:
    """An end without warning for each process of a system that runs, in an order of chance."""
    chance = random.Random(f"{seed} {system.workload.name}")
    turns = [(fault, turn) for fault in faults for turn in range(fault.turns(system))]
    for fault, turn in chance.sample(turns, len(turns)):
        pause = chance.uniform(LEAST_PAUSE, LONGEST_PAUSE)
        yield Planned(pause, fault(random.Random(chance.random()), turn))
