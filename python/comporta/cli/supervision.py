"""What the command does while its release runs: pass on what it says, have it stop, judge how it ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Iterator
from typing import Any

from comporta.cli.display import Display
from comporta.cli.release import Release
from comporta.connection import Closed, Frame
from comporta.profile import Profile
from comporta.runs import Note

GRACE = 5.0  # seconds beyond the time to drain, after which the release is killed
TICK = 0.2  # seconds in which a signal, or the release's end, is noticed at the latest

AT_ONCE = "stopped at once; nothing is lost: the next run goes on from what was flushed"
OVERTIME = (
    "it did not stop in time and was killed; nothing is lost: the next run goes on from what was flushed"
)


class Supervision:
    """One run of a release. `drain_timeout` is in seconds; the pipeline's name is added to the `note`.

    After `watch`, `ledger` is what became of all records, if the release has said it, and `profile` where the
    time went, if it is to be shown.
    """

    def __init__(
        self,
        release: Release,
        display: Display,
        drain_timeout: float,
        note: Note | None = None,
        *,
        profile: bool = False,
    ) -> None:
        self.ledger: dict[str, Any] | None = None
        self.profile: Profile | None = None
        self._is_profiled = profile
        self._workers = 1
        self._release = release
        self._display = display
        self._noted = note
        self._patience = drain_timeout + GRACE
        self._deadline = float("inf")
        self._has_started = False
        self._must_stop = False
        self._must_end_now = False
        self._killed: str | None = None
        self._verdict: tuple[int, str | None] | None = None
        self._unfinished = b""

    def watch(self) -> tuple[int, str | None]:
        """Once the release has ended: the exit status and, where there is something to say, a line."""
        release = self._release
        with self._signals(), selectors.DefaultSelector() as selector:
            selector.register(release.output, selectors.EVENT_READ, self._pass_on)
            selector.register(release.reports_descriptor, selectors.EVENT_READ, self._report)
            while True:
                has_ended = release.exit_status() is not None
                ready = selector.select(0 if has_ended else TICK)
                if has_ended and not ready:
                    break
                for key, _events in ready:
                    if not key.data():
                        selector.unregister(key.fileobj)
                self._attend()
        if self._unfinished:
            self._display.log(_text(self._unfinished))
        self._display.close()
        return self._judge(release.wait())

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Note SIGINT and SIGTERM, instead of ending by them."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        self._must_end_now = number == signal.SIGINT and self._must_stop
        self._must_stop = True

    def _attend(self) -> None:
        """Do what signals and the clock ask for."""
        if self._killed:
            return
        if self._must_end_now:
            self._kill(AT_ONCE)
        elif time.monotonic() > self._deadline:
            self._kill(OVERTIME)
        elif self._must_stop and self._deadline == float("inf"):
            self._expect_end()
            self._release.drain()
            self._display.say("info", "draining: what has been read is finished; Ctrl-C again stops at once")

    def _expect_end(self) -> None:
        self._deadline = time.monotonic() + self._patience

    def _kill(self, why: str) -> None:
        self._killed = why
        self._release.kill()

    def _pass_on(self) -> bool:
        """Pass on whole lines of the log. False at its end."""
        data = os.read(self._release.output, 1 << 16)
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._display.log(_text(line.rstrip(b"\r")))
        return bool(data)

    def _report(self) -> bool:
        """Take a report of the release. False when there will be none any more."""
        try:
            frame = self._release.reports.receive()
        except Closed:
            return False
        report = _fields(frame)
        sums = dict(report.pop("profile", ()))
        if self._is_profiled and sums:
            self.profile = Profile(sums, self._workers, report["consumed"])
        if self._noted and frame.kind in ("banner", "waiting"):
            self._noted.add(pipeline=report["pipeline"])
        match frame.kind:
            case "banner":
                self._has_started = True
                self._workers = report["workers"]
                self._display.banner(report)
            case "progress":
                self._display.progress(report, self.profile)
            case "waiting":
                self._display.say("info", f"waiting: {report['text']}")
            case "ledger":
                self.ledger = report
            case "verdict":
                self._verdict = report["status"], report["text"]
                self._expect_end()
        return True

    def _judge(self, exit_status: int) -> tuple[int, str | None]:
        if self._killed:
            return 1, self._killed
        if self._verdict:
            return self._verdict
        if self._must_stop and not self._has_started:
            return 0, "stopped before it had begun"
        how = f"by {signal.Signals(-exit_status).name}" if exit_status < 0 else f"with status {exit_status}"
        return 1, f"the release ended {how}, and did not say why; nothing is lost: run it again"


def _fields(frame: Frame) -> dict[str, Any]:
    return {
        name: _text(value) if isinstance(value, bytes) else value
        for name, value in frame.header.items()
        if name not in ("kind", "id")
    }


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
