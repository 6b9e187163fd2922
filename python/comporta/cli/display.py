"""How a run shows itself on stderr: a live line, a status line now and then, or JSON."""

from __future__ import annotations

import abc
import json
import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from comporta.cli.output import silence
from comporta.notes import LOSSES, ROWS, brief
from comporta.profile import Profile

STATUS_EVERY = 10.0  # seconds between status lines where there is no terminal
RATE_OVER = 5.0  # seconds that the rate is an average over

BANNER = ("source", "store", "claims", "dead", "workers", "guarantee", "generation")


class Display(abc.ABC):
    """What is written while a pipeline runs. Once nobody reads it any more, nothing is."""

    def __init__(self) -> None:
        self._rate = Rate()

    @abc.abstractmethod
    def banner(self, banner: Mapping[str, Any]) -> None:
        """The pipeline runs: with what, on what, and what it guarantees."""

    @abc.abstractmethod
    def progress(self, progress: Mapping[str, Any], profile: Profile | None = None) -> None:
        """How far it is: a `progress` report, four a second, with where the time went, if that is shown."""

    @abc.abstractmethod
    def profile(self, profile: Profile) -> None:
        """Where the time went, at the end."""

    @abc.abstractmethod
    def log(self, line: str) -> None:
        """A line of the release's log."""

    @abc.abstractmethod
    def say(self, level: str, text: str) -> None:
        """Something that the command itself has to say; `level` is `info`, `warning` or `error`."""

    @abc.abstractmethod
    def close(self) -> None:
        """There will be no more progress."""

    def status(self, progress: Mapping[str, Any]) -> dict[str, Any]:
        """A progress report with the rate, in records a second."""
        return {**progress, "rate": self._rate.of(progress["consumed"])}

    def write(self, text: str) -> None:
        """Write to stderr at once, in one piece."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            silence(sys.stderr)


class Lines(Display):
    """Text without a terminal: a status line every 10 s."""

    def __init__(self) -> None:
        super().__init__()
        self._next_status = time.monotonic() + STATUS_EVERY

    def banner(self, banner: Mapping[str, Any]) -> None:
        self.log("Comporta {comporta} on Elixir {elixir}, OTP {otp} and Python {python}".format_map(banner))
        self.log(f"  pipeline    {banner['pipeline']}")
        for name in BANNER:
            if banner[name] is not None:
                self.log(f"  {name:11} {banner[name]}")

    def progress(self, progress: Mapping[str, Any], profile: Profile | None = None) -> None:
        status = self.status(progress)
        if time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_EVERY
            self.log(status_line(status, profile))

    def profile(self, profile: Profile) -> None:
        for line in profile.lines():
            self.log(line)

    def log(self, line: str) -> None:
        self.write(line + "\n")

    def close(self) -> None:
        pass

    def say(self, level: str, text: str) -> None:
        self.log(f"comporta: {'' if level == 'info' else level + ': '}{text}")


class Live(Lines):
    """Text on a terminal: one line that is kept up to date below everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._line = ""

    def progress(self, progress: Mapping[str, Any], profile: Profile | None = None) -> None:
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        self._line = status_line(self.status(progress), profile)[: width - 1]
        self.write(f"\r\x1b[2K{self._line}")

    def log(self, line: str) -> None:
        self.write(f"\r\x1b[2K{line}\n{self._line}" if self._line else line + "\n")

    def close(self) -> None:
        if self._line:
            self.write("\r\x1b[2K")
        self._line = ""


class JSON(Display):
    """One JSON object a line, whatever happens: what the release writes that is none is wrapped in one."""

    def __init__(self) -> None:
        super().__init__()
        self._next_status = time.monotonic() + STATUS_EVERY

    def banner(self, banner: Mapping[str, Any]) -> None:
        self._event("info", "started", banner)

    def progress(self, progress: Mapping[str, Any], profile: Profile | None = None) -> None:
        status = self.status(progress)
        if time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_EVERY
            self._event("info", "progress", status | ({"profile": profile.summary()} if profile else {}))

    def profile(self, profile: Profile) -> None:
        self._event("info", "profile", profile.summary())

    def log(self, line: str) -> None:
        try:
            is_object = isinstance(json.loads(line), dict)
        except ValueError:
            is_object = False
        if is_object:
            self.write(line + "\n")
        else:
            self._event("warning", line, {})

    def close(self) -> None:
        pass

    def say(self, level: str, text: str) -> None:
        self._event(level, text, {})

    def _event(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        self.write(json_event(level, message, fields) + "\n")


def json_event(level: str, message: str, fields: Mapping[str, Any]) -> str:
    """An event as the release's own JSON log has them: `time`, `level`, `message`, and more."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": now, "level": level, "message": message, **fields}, ensure_ascii=False)


class Rate:
    """How fast a counter rises, averaged over the last few seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def of(self, count: int) -> int:
        """Note the counter's value now. Returns by how much it rises a second."""
        now = time.monotonic()
        self._samples.append((now, count))
        while now - self._samples[0][0] > RATE_OVER:
            self._samples.popleft()
        since, before = self._samples[0]
        return round((count - before) / (now - since)) if now > since else 0


def status_line(status: Mapping[str, Any], profile: Profile | None = None) -> str:
    """A progress report in one line."""
    lag = (
        human_size(status["lag"])
        if status["lag_unit"] == "bytes"
        else f"{status['lag']:,} {status['lag_unit']}"
    )
    parts = [
        f"{status['consumed']:,} records, {status['rate']:,}/s",
        *brief(LOSSES, status),
        f"{lag} behind",
        f"{status['in_flight']:,} in flight",
        f"{status['dead']:,} dead letters",
        *brief(ROWS, status),
        *([profile.brief()] if profile else []),
    ]
    return " | ".join(parts)


def human_size(size: int) -> str:
    """Bytes in the largest unit of which there is at least one."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def choose(log_format: str) -> Display:
    """The display that fits the log's format and what stderr is."""
    if log_format == "json":
        return JSON()
    return Live() if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else Lines()
