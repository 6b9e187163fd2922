"""The memory that this process has resident, where the system says (`/proc`, on Linux)."""

from __future__ import annotations

import resource
from pathlib import Path

PAGES = Path("/proc/self/statm")


def resident() -> int | None:
    """The bytes of memory that this process has resident now; None where the system does not say."""
    try:
        return int(PAGES.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return None
