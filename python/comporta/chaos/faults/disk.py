"""A full disk under the store: it is waited for, in words, and nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from comporta.chaos import disk, processes
from comporta.chaos.fault import Breach, Fault
from comporta.chaos.member import Member
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
        [member] = system.members
        self._log_before = member.log.stat().st_size
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
        [member] = system.members
        deadline = time.monotonic() + SAID_WITHIN
        while not (is_said := self._is_said(member)) and time.monotonic() < deadline:
            time.sleep(0.1)
        embedded.disk.free()
        if not is_said:
            raise Breach("that the disk was full is not in the log")

    def _is_said(self, member: Member) -> bool:
        with member.log.open("rb") as log:
            log.seek(self._log_before)
            return SAID.encode() in log.read()


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
        self._log_before = member.log.stat().st_size  # what starts now must say it
        return f"{target}, {role or 'release'} killed"
