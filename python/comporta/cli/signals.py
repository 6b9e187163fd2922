"""Signals that end a command as Ctrl-C does, so that it takes with it what it has started."""

from __future__ import annotations

import signal
from typing import NoReturn


def end_as_interrupted() -> None:
    """Have a request to end, and the terminal's end, raise `KeyboardInterrupt`."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
