"""What the members' logs say, from some time on."""

from __future__ import annotations

import time
from pathlib import Path

POLL = 0.1  # seconds


class Logs:
    """The logs in a folder, whichever there will be, from now on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {path: path.stat().st_size for path in self._paths()}

    def wait_for(self, words: str, seconds: float) -> bool:
        """Wait until one of them has these words; False where that takes longer."""
        deadline = time.monotonic() + seconds
        while not any(words.encode() in self._since(path) for path in self._paths()):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL)
        return True

    def _paths(self) -> list[Path]:
        return list(self._folder.glob("*.log"))

    def _since(self, path: Path) -> bytes:
        with path.open("rb") as log:
            log.seek(self._before.get(path, 0))
            return log.read()
