"""A record that is poison: the worker that gets it misbehaves. It must be a dead letter, and others count."""

from __future__ import annotations

import time
from typing import ClassVar

from comporta.chaos.fault import Fault
from comporta.chaos.system import System

SENT = 30.0  # seconds within which it must be acknowledged


class Poison(Fault):
    """Sends a poison record, whose batch is halved until it is alone; then it kills three more workers."""

    kind: ClassVar[str]
    recovery = 120.0

    def inject(self, system: System) -> str:
        producer = system.producer
        before = len(producer.poisoned)
        producer.poison(self.kind)
        deadline = time.monotonic() + SENT
        while len(producer.poisoned) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        return f"poison record {before}"


class PoisonThatHangs(Poison):
    """Each death takes as long as a batch may."""

    recovery = 240.0


class Leak(Poison):
    name, kind = "poison-leak", "leak"


class Spin(PoisonThatHangs):
    name, kind = "poison-spin", "spin"


class Hold(PoisonThatHangs):
    name, kind = "poison-hold", "hold"


class Segfault(Poison):
    name, kind = "poison-segfault", "segfault"


class Exit(Poison):
    name, kind = "poison-exit", "exit"


class Close(Poison):
    name, kind = "poison-close", "close"


class Fork(Poison):
    name, kind = "poison-fork", "fork"


class NeverRead(PoisonThatHangs):
    name, kind = "poison-never-read", "never-read"


class Recurse(Poison):
    name, kind = "poison-recurse", "recurse"


class Raise(Poison):
    name, kind = "poison-raise", "raise"
