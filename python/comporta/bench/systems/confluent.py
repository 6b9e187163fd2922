"""Loops over what confluent-kafka's `consume` gives, in an environment of their own."""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job

VERSION = "2.12.2"


class Confluent(peers.PythonPeer):
    """In as many processes as cores."""

    name = "confluent"
    title = f"confluent-kafka {VERSION} loops in as many processes as cores"
    requirements: ClassVar[tuple[str, ...]] = (f"confluent-kafka=={VERSION}",)

    def commands(self, job: Job) -> list[list[str]]:
        return peers.each(self.python, "confluent_loop", job, only_counts=False)
