"""Quix Streams: a process for each core in one consumer group.

A fetch waits for 100,000 bytes (`fetch.min.bytes`), as Confluent's "Optimize clients for throughput" advises
for consumers; all else is as Quix Streams has it. Totals are in each process's memory: state would cost more.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job

VERSION = "3.28.1"


class Quix(peers.PythonPeer):
    """`programs/quix_count.py`."""

    name: ClassVar[str] = "quix"
    title: ClassVar[str] = f"Quix Streams {VERSION}, a process for each core"
    requirements: ClassVar[tuple[str, ...]] = (f"quixstreams=={VERSION}", "confluent-kafka==2.12.2")

    def commands(self, job: Job) -> list[list[str]]:
        """The members of the group."""
        return peers.each(self.python, "quix_count", job)
