"""Waiting for a service that is away: when to try again, and what is said meanwhile."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0  # seconds between two tries
SAID_AFTER = 1.0  # seconds of waiting that are worth a line: what a busy service refuses is done by then
SAID_EVERY = 10.0  # seconds between two lines about the same service

NETWORK = {
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EPIPE,
    errno.ETIMEDOUT,
}


class Pauses:
    """Seconds to pause between tries, which grow and differ, so that not all return at once."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def next(self) -> float:
        """The next pause."""
        pause = self._next
        self._next = min(LONGEST_PAUSE, pause * 2)
        return pause * random.uniform(0.5, 1.5)


class Notice:
    """Says in the log that `what` is waited for, once that has lasted a moment and then now and then, and in
    the end that it is over. Threads may share one.
    """

    def __init__(self, logger: logging.Logger, what: object) -> None:
        self._logger = logger
        self._what = what
        self._lock = threading.Lock()
        self._since: float | None = None
        self._next = 0.0
        self._is_said = False

    def failed(self, reason: str, began: float) -> None:
        """What was tried at the time `began` (of `time.monotonic`) has failed."""
        with self._lock:
            now = time.monotonic()
            if self._since is None:
                self._since = began
            if now - self._since >= SAID_AFTER and now >= self._next:
                self._next = now + SAID_EVERY
                self._is_said = True
                self._logger.warning("waiting for %s: %s; nothing is lost", self._what, reason)

    def succeeded(self) -> None:
        """It answers."""
        if self._since is None:
            return
        with self._lock:
            self._since = None
            if self._is_said:
                self._is_said = False
                self._logger.info("%s answers again", self._what)


def unreachable(error: BaseException) -> str | None:
    """Why a connection does not come about, in plain words, where the system says so; None elsewhere."""
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return "no address is known for that name: is it right?"
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError)):
            return "no answer"
        if isinstance(cause, OSError):
            # asyncio has no number where a name has several addresses, but the numbers in its words.
            if cause.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(cause):
                return "nothing listens there: is it up, and is the address right?"
            if cause.errno in NETWORK:
                return os.strerror(cause.errno)
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came of, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
