"""Log files as a source: each file a partition, each line's byte position its offset.

Files are followed as they grow and rotate, or read to the end that they had at the start. A file that is
renamed while it is read goes on as the partition that it is; one that is truncated becomes a new one (what
was written to it between a copy and its truncation is lost before anyone can read it).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from comporta.errors import SourceError
from comporta.payloads import AssignedPartition, Known
from comporta.sources.contract import Batch, Limits, Source
from comporta.sources.inventory import Inventory
from comporta.sources.lines import Slice
from comporta.sources.listing import Listing
from comporta.sources.log_file import LogFile, Lost

logger = logging.getLogger(__name__)

MOST_OPEN = 200  # descriptors; of more files, some wait until others have nothing more


class Files(Source):
    """The files that a URL `file:GLOB` names, under `known`, what the store remembers of them.

    `start` is `earliest` or `latest` (after the last whole line), for the files that are there when the
    pipeline starts for the first time. Raises `SourceError` for anything else, `UsageError` for another URL.
    """

    def __init__(self, url: str, known: Known, start: str, until_end: bool, limits: Limits) -> None:
        start = known["start"] or start
        if start not in ("earliest", "latest"):
            raise SourceError(
                f"the start {start!r} is no place in a file: its lines have no time before the transform has"
                " read them; files start at earliest or latest"
            )
        partitions = [known for known in known["partitions"] if known["partition"].startswith("file-")]
        from_end = start == "latest" and not known["started"]
        self._inventory = Inventory(Listing(url), from_end, until_end, limits, partitions)
        self._until_end = until_end
        self._turns: deque[LogFile] = deque()  # those that are read, the next one first
        self._are_some_skipped = False
        self._ends: list[tuple[str, int]] = []
        self._ended: set[str] = set()
        self._damages: dict[str, str] = {}
        self._said: set[str] = set()

    def discover(self) -> list[AssignedPartition]:
        new = self._inventory.discover()
        if self._until_end:
            for log in new:
                self._find_end(log)
        self._hold([*new, *self._turns])
        self._fail_if_done()
        return [
            AssignedPartition(
                partition=log.partition, shown=log.shown, start=log.position, meta=log.identity.pack()
            )
            for log in new
        ]

    def is_listed(self) -> bool:
        return self._inventory.is_settled()

    def seek(self, partition: str, offset: int) -> None:
        log = self._inventory.logs[partition]
        log.seek(offset)
        self._damages.pop(partition, None)
        if log not in self._turns:
            self._turns.append(log)

    def read(self) -> Batch | None:
        while True:
            self._are_some_skipped = False
            for _ in range(len(self._turns)):
                log = self._turns[0]
                self._turns.rotate(-1)
                if slice := self._read(log):
                    return Batch(log.partition, log.shown, **vars(slice))
            if not (self._are_some_skipped and self._make_room()):
                return None

    def ends(self) -> list[tuple[str, int]]:
        ends, self._ends = self._ends, []
        return ends

    def backlog(self) -> list[tuple[str, int]]:
        backlog = []
        for log in self._inventory.logs.values():
            try:
                if log.place and (size := log.size()) is not None:
                    backlog.append((log.partition, size if log.until is None else log.until))
            except (OSError, Lost):
                continue
        return backlog

    def checkpoint(self, partition: str, upto: int) -> None:
        self._inventory.logs[partition].durable = upto

    def _read(self, log: LogFile) -> Slice | None:
        try:
            if not log.has_news():
                return None
            if not log.is_open and not self._make_room():
                self._are_some_skipped = True
                return None
            slice = log.read(is_final=self._until_end)
            if slice is None:
                self._finish(log) if self._until_end else self._pause(log)
            return slice
        except Lost as lost:
            if not self._inventory.lose(log, str(lost)) and self._until_end:
                self._give_up(log, f"{lost} while it was read")
        except OSError as error:
            self._give_up(log, f"{error.strerror} at position {log.position}")
        return None

    def _hold(self, logs: Sequence[LogFile]) -> None:
        """Open files as soon as they are found, or found again: by their turn, rotation may have moved and
        deleted them.
        """
        found = [log for log in logs if log.place and not log.is_open]
        for log in found[: max(0, MOST_OPEN - len(self._opened()))]:
            with suppress(OSError, Lost):  # its turn shows what that is about
                log.open()

    def _opened(self) -> list[LogFile]:
        return [log for log in self._inventory.logs.values() if log.is_open]

    def _make_room(self) -> bool:
        """Whether one more file may be opened, if need be for one that has nothing more now."""
        opened = self._opened()
        if len(opened) < MOST_OPEN:
            return True
        for log in opened:
            if log.is_exhausted and log.is_linked():  # or it could not be opened again
                log.close()
                return True
        return False

    def _find_end(self, log: LogFile) -> None:
        """Note where a file ends at the start, unless it is compressed: then that is known when it is
        reached.
        """
        try:
            log.until = log.size()
        except (OSError, Lost) as error:
            raise SourceError(f"{log.shown}: {error}") from error
        if log.until is not None:
            self._end(log, log.until)

    def _end(self, log: LogFile, offset: int) -> None:
        if log.partition not in self._ended:
            self._ended.add(log.partition)
            self._ends.append((log.partition, offset))

    def _finish(self, log: LogFile) -> None:
        """Until the end: there is nothing more to read of a file."""
        if log.damage:
            self._give_up(log, log.damage)
        elif log.until is None:
            self._end(log, log.position)
        elif log.position < log.until:
            self._give_up(log, f"ends at position {log.position}, and had {log.until} bytes at the start")
        if log in self._turns:
            self._turns.remove(log)
        log.close()

    def _pause(self, log: LogFile) -> None:
        """Following: there is nothing more to read of a file for now, or for ever if it is broken."""
        if log.is_broken:
            self._give_up(log, log.damage or "")
        elif log.damage and log.partition not in self._said:
            self._said.add(log.partition)
            logger.info("%s: %s; waiting for more", log.shown, log.damage)

    def _give_up(self, log: LogFile, why: str) -> None:
        """Read no more of a file; until the end, that is a failure, once everything else is done."""
        self._turns.remove(log)
        log.close()
        if self._until_end:
            self._damages[log.partition] = f"{log.shown}: {why}"
        else:
            logger.error("%s: %s; the others are read on", log.shown, why)

    def _fail_if_done(self) -> None:
        """What can be read is counted and durable before the pipeline stops because of what cannot."""
        logs = [log for log in self._inventory.logs.values() if log.place or log.partition in self._damages]
        is_done = self.is_listed() and not self._turns and all(log.is_sought for log in logs)
        if self._damages and is_done and all(log.durable >= log.position for log in logs):
            raise SourceError("; ".join(self._damages.values()) + "; what came before was read")
