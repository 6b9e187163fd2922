"""Loops over what confluent-kafka's `consume` gives, in an environment of their own."""

from __future__ import annotations

from pathlib import Path

from comporta.bench import environments, loops
from comporta.bench.system import Job, System

VERSION = "2.12.2"


class Confluent(System):
    """In as many processes as cores."""

    name = "confluent"
    title = f"confluent-kafka {VERSION} loops in as many processes as cores"

    _python = ""

    def install(self, cache: Path) -> None:
        self._python = environments.make(cache, self.name, [f"confluent-kafka=={VERSION}"])

    def commands(self, job: Job) -> list[list[str]]:
        return loops.commands(self._python, "confluent_loop", job, job.processes, only_counts=False)
