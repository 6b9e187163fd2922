"""Which files are which partitions: those known, those that are new, and those that may be copies of others.

Rotation copies or compresses a log beside it, and then deletes or truncates it. So a file that looks like a
log that is there is left to wait while the one or the other still changes: if the log goes, the file is its
partition; if both stay, they are two. Where there is doubt, it is read; no byte is skipped on a guess.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from comporta.errors import SourceError
from comporta.payloads import KnownPartition
from comporta.sources.content import GZIP_MAGIC, PIECE, Content, Plain, opened
from comporta.sources.contract import Limits
from comporta.sources.identity import Identity, Trace, identify, resolve
from comporta.sources.lines import FINGERPRINT, mark_at
from comporta.sources.listing import FileId, Listing, Place
from comporta.sources.log_file import LogFile, Lost

logger = logging.getLogger(__name__)

COPY_PATIENCE = 60.0  # seconds without a change after which what looks like a copy is a log of its own
EVERYTHING = 1 << 62
SHOWN_AT_MOST = 5  # names in a line of the log


class Inventory:
    """The partitions that files are or were, and the files that wait until it is clear what they are.

    `from_end` lets files that are there at the first listing begin after their last whole line. With
    `until_end`, only those are ever taken on.
    """

    def __init__(
        self,
        listing: Listing,
        from_end: bool,
        until_end: bool,
        limits: Limits,
        known: Iterable[KnownPartition],
    ) -> None:
        self._listing = listing
        self._from_end = from_end
        self._until_end = until_end
        self._limits = limits
        self._is_first = True
        self._by_file: dict[FileId, LogFile] = {}
        self._waiting: dict[FileId, LogFile] = {}
        self._unreadable: set[str] = set()
        self._taken_on: set[str] = set()
        self.logs = {log.partition: log for log in map(self._known, known)}

    def is_settled(self) -> bool:
        """Whether it is clear of every file that was there at the start what it is."""
        return not self._is_first and not self._waiting

    def discover(self) -> list[LogFile]:
        """The partitions that have files to be read, and had none before."""
        places = self._listing.places()
        before = list(self.logs.values())
        if self._is_first:
            self._find_known(places)
        for place in places:
            if place.id in self._by_file:
                self._by_file[place.id].place = place  # it may have been renamed
        self._release_deleted(before)
        for place in places:
            if place.id not in self._by_file and (
                self._is_first or not self._until_end or place.id in self._waiting
            ):
                self._decide(place, before)
        there = {place.id for place in places} - self._by_file.keys()
        self._waiting = {id: log for id, log in self._waiting.items() if id in there}
        if self._is_first and not self._by_file and not self._waiting:
            self._listing.check(self._until_end)
            logger.info("no file matches %s yet: waiting for one", self._listing.pattern)
        self._is_first = False
        new = [log for log in self.logs.values() if log.place and log.partition not in self._taken_on]
        self._taken_on.update(log.partition for log in new)
        return new

    def lose(self, log: LogFile, why: str) -> bool:
        """The file of a partition is not there any more, or is another: find where it is now. False:
        nowhere.
        """
        assert log.place
        self._by_file.pop(log.place.id, None)
        log.detach()
        found = resolve({log.partition: log.trace}, self._listing.places(), self._by_file.keys())
        for place in found.values():
            with opened(place.path) as content:
                self._attach(log, place, content)
            logger.info("%s %s: it goes on in %s", log.shown, why, place.path)
        if not found:
            logger.warning("%s %s: it was read up to position %d", log.shown, why, log.position)
        return bool(found)

    def _known(self, known: KnownPartition) -> LogFile:
        trace = Trace(Identity.unpack(known["meta"]), known["upto"], known["mark"])
        return LogFile(known["partition"], known["shown"], trace, self._limits)

    def _find_known(self, places: Sequence[Place]) -> None:
        found = resolve({partition: log.trace for partition, log in self.logs.items()}, places)
        for partition, place in found.items():
            log = self.logs[partition]
            with opened(place.path) as content:
                self._attach(log, place, content)
            log.shown = _text(place.path) if place in places else _beside(log.shown, place)
        if gone := [log.shown for log in self.logs.values() if not log.place]:
            names = ", ".join(gone[:SHOWN_AT_MOST]) + (", ..." if len(gone) > SHOWN_AT_MOST else "")
            logger.warning("%d files that were read before are gone, and left alone: %s", len(gone), names)

    def _release_deleted(self, logs: Iterable[LogFile]) -> None:
        """Let go of deleted files that were read to their end, so that compressed copies can be them."""
        for log in logs:
            if log.is_open and not log.has_news() and log.durable >= log.position and not log.is_linked():
                if unfinished := (log.size() or log.position) - log.position:
                    logger.warning(
                        "%s was deleted with an unfinished line of %d bytes", log.shown, unfinished
                    )
                assert log.place
                del self._by_file[log.place.id]
                log.detach()
        for log in self._waiting.values():
            if log.place and not log.is_open and not log.is_linked():
                self.lose(log, "was deleted")

    def _decide(self, place: Place, logs: Sequence[LogFile]) -> None:
        """What a file is that belongs to no partition yet: one that had lost its file, a new one, or not
        clear.
        """
        try:
            with opened(place.path) as content:
                if not self._until_end and content.read(0, len(GZIP_MAGIC)) in (b"", GZIP_MAGIC[:1]):
                    return  # nothing to know it by yet, and nothing to read
                for log in logs:
                    if not log.place and log.trace.may_be(place) and log.trace.agrees(content):
                        logger.info("%s goes on in %s", log.shown, place.path)
                        self._attach(log, place, content)
                        break
                else:
                    if self._must_wait(place, content, logs):
                        return
                    self._add(place, content)
        except OSError as error:
            self._refuse(place, error)

    def _must_wait(self, place: Place, content: Content, logs: Sequence[LogFile]) -> bool:
        """Whether it is not clear yet if a file is a copy of a log that is there."""
        if not isinstance(content, Plain):  # at the first listing, no log was there before
            logs = [*logs, *(log for log in self.logs.values() if not log.is_compressed)]
        log = next((log for log in logs if log.place and _is_alike(content, log)), None)
        if log is None:
            return False
        is_changing = 0 <= time.time() - place.changed < COPY_PATIENCE
        are_plain = isinstance(content, Plain) and not log.is_compressed
        if (log.is_linked() and not is_changing) or (self._until_end and are_plain):
            logger.warning("%s begins as %s does, and both are there: each is read", place.path, log.shown)
            return False
        if place.id not in self._waiting:
            logger.info(
                "%s looks like a copy of %s: waiting to see which of them stays", place.path, log.shown
            )
        self._waiting[place.id] = log
        return True

    def _add(self, place: Place, content: Content) -> None:
        position = end_of_lines(content) if self._is_first and self._from_end else 0
        trace = Trace(identify(place, content.read(0, FINGERPRINT)), position, mark_at(content, position))
        log = LogFile(f"file-{secrets.token_hex(6)}", _text(place.path), trace, self._limits)
        self.logs[log.partition] = log
        self._attach(log, place, content)

    def _attach(self, log: LogFile, place: Place, content: Content) -> None:
        log.attach(place, content)
        self._by_file[place.id] = log

    def _refuse(self, place: Place, error: OSError) -> None:
        text = f"{place.path}: {error.strerror}"
        if self._until_end:
            raise SourceError(text) from error
        if place.path not in self._unreadable:
            self._unreadable.add(place.path)
            logger.warning("%s; trying again until it can be read", text)


def end_of_lines(content: Content) -> int:
    """Where the last whole line of a content ends."""
    end = content.extent(EVERYTHING)
    while end > 0:
        start = max(0, end - PIECE)
        if length := content.read(start, end - start).rfind(b"\n") + 1:
            return start + length
        end = start
    return 0


def _is_alike(content: Content, log: LogFile) -> bool:
    """Whether a content is that of a log as far as it was read, or is as much of that as there is of it
    yet.
    """
    head = content.read(0, FINGERPRINT)
    common = min(len(head), len(log.head))
    if not common or head[:common] != log.head[:common]:
        return False
    end = content.extent(log.position)
    if end == log.position:  # the log itself may be truncated by now
        return log.trace.agrees(content)
    start = max(0, end - FINGERPRINT)
    try:
        return log.peek(start, end - start) == content.read(start, end - start)
    except (OSError, Lost):
        return True  # it is just being removed


def _beside(shown: str, place: Place) -> str:
    """A file as it is shown that was found beside another."""
    return str(Path(shown).with_name(_text(Path(place.path).name)))


def _text(path: str) -> str:
    """A path as it is shown, whatever bytes it has."""
    return os.fsencode(path).decode(errors="backslashreplace")
