"""A worker that misbehaves, once: as by a bug of user code that no record in particular brings about."""

from __future__ import annotations

from typing import ClassVar

from comporta.chaos.fault import Fault
from comporta.chaos.system import System

TAKEN = 30.0  # seconds within which a worker must come


class Misbehave(Fault):
    """Has a worker, whichever comes first, do something that no worker should."""

    kind: ClassVar[str]

    def inject(self, system: System) -> str:
        is_taken = system.misbehave(self.kind, TAKEN)
        return "the first worker to come" if is_taken else "no worker: none has come"


class Leak(Misbehave):
    name, kind = "misbehave-leak", "leak"


class Spin(Misbehave):
    name, kind = "misbehave-spin", "spin"


class Hold(Misbehave):
    name, kind = "misbehave-hold", "hold"


class Segfault(Misbehave):
    name, kind = "misbehave-segfault", "segfault"


class Exit(Misbehave):
    name, kind = "misbehave-exit", "exit"


class Close(Misbehave):
    name, kind = "misbehave-close", "close"


class Fork(Misbehave):
    name, kind = "misbehave-fork", "fork"


class NeverRead(Misbehave):
    name, kind = "misbehave-never-read", "never-read"


class Recurse(Misbehave):
    name, kind = "misbehave-recurse", "recurse"
