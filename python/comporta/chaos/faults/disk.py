"""A full disk under the store: it is waited for, in words, and nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3

from comporta.chaos import disk, processes
from comporta.chaos.fault import Breach, Fault
from comporta.chaos.logs import Logs
from comporta.chaos.system import System

SAID = "its disk is full; waiting"  # in the log
SAID_WITHIN = 60.0  # seconds, where a whole release must start first
LETTERS = 3


class DiskFull(Fault):
    """Leaves no room where the SQLite file is, for some seconds."""

    name = "disk-full"
    systems = ("embedded",)
    seconds = 4.0

    @classmethod
    def missing(cls) -> str | None:
        return disk.missing()

    @classmethod
    def prepare(cls, system: System) -> None:
        system.embedded.use_own_disk()

    def inject(self, system: System) -> str:
        embedded = system.embedded
        assert embedded.disk
        self._logs = Logs(system.folder)
        # The write-ahead log would have room of its own to go on in, until it begins again.
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(embedded.database)) as base,
        ):
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return f"{embedded.disk.fill():,} bytes"

    def heal(self, system: System) -> None:
        embedded = system.embedded
        assert embedded.disk
        is_said = self._logs.wait_for(SAID, SAID_WITHIN)
        embedded.disk.free()
        if not is_said:
            raise Breach("that the disk was full is not in the log")


class DiskFullLetters(DiskFull):
    """Dead letters must be written meanwhile, too."""

    name = "disk-full-letters"

    def inject(self, system: System) -> str:
        target = super().inject(system)
        for _ in range(LETTERS):
            system.producer.poison("raise")
        return target


class DiskFullStart(DiskFull):
    """The store, or the whole release, is killed, and must start while the disk is full."""

    name = "disk-full-start"
    seconds = 8.0

    def inject(self, system: System) -> str:
        target = super().inject(system)
        [member] = system.members
        role = self.chance.choice(["store", None])
        if role is None:
            member.expect_end()
        for pid in member.pids(role):
            processes.send(pid)
        self._logs = Logs(system.folder)  # what starts now must say it
        return f"{target}, {role or 'release'} killed"
