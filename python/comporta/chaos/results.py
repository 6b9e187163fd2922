"""What the pipeline says that it counted, asked as a user would: by the command, in JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comporta.chaos.member import COMMAND

PATIENCE = 180.0  # seconds that a command may take
Group = tuple[Any, ...]


class CommandFailed(Exception):
    """A command of the judge's did not end well; its text is what it said."""


def comporta(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run the command to its end; what it wrote to stdout. Raises `CommandFailed`."""
    try:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"comporta {words[0]} did not end within {PATIENCE:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise CommandFailed(f"comporta {words[0]} ended with {done.returncode}: {' '.join(last)}")
    return done.stdout


class Results:
    """Metrics, ledger and dead letters of `file`, with `store`, `source` being words that say where."""

    def __init__(
        self,
        file: Path,
        store: Sequence[str],
        source: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._file = str(file)
        self._store = store
        self._source = source
        self._folder = folder
        self._environment = environment

    def rows(self, metric: str) -> list[dict[str, Any]]:
        """The rows of a metric, as `comporta query --format json` has them."""
        return self._ask("query", self._file, metric, *self._store)

    def values(self, metric: str) -> dict[Group, Any]:
        """A metric's values by group; of a metric with buckets, the bucket's start comes first."""
        return {
            (*([row["start"]] if row["start"] else []), *row["group"].values()): row["value"]
            for row in self.rows(metric)
        }

    def ledger(self) -> list[dict[str, Any]]:
        """The lines of the audit, recounted from the source; the last is of the whole."""
        return self._ask("audit", self._file, *self._store, *self._source)

    def output_rows(self) -> list[dict[str, Any]]:
        """The rows that were kept, as `comporta rows --format json` has them."""
        return self._ask("rows", self._file, *self._store)

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return self._ask("dead", "list", self._file, *self._store, *self._source)

    def _ask(self, *words: str) -> list[dict[str, Any]]:
        text = comporta([*words, "--format", "json"], self._folder, self._environment)
        return [json.loads(line) for line in text.splitlines()]
