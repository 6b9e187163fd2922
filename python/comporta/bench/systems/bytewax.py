"""Bytewax: a process with one worker for each core.

Lines are parsed by `flat_map_batch`, which its API reference calls a performance optimization, pointing to
the `batch_size` of sources besides: 10,000 here. Groups are folded by key, as its examples do.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job
from comporta.services import ports

VERSION = "0.21.1"


class Bytewax(peers.PythonPeer):
    """`programs/bytewax_count.py`."""

    name: ClassVar[str] = "bytewax"
    title: ClassVar[str] = f"Bytewax {VERSION}, a process for each core"
    requirements: ClassVar[tuple[str, ...]] = (f"bytewax=={VERSION}", "confluent-kafka==2.16.1")

    def commands(self, job: Job) -> list[list[str]]:
        """The processes of a cluster, which find each other at their addresses."""
        found: list[int] = []
        for _ in range(job.processes):
            found.append(ports.find(["127.0.0.1"], int(job.kafka.rpartition(":")[2]), found))
        addresses = [f"127.0.0.1:{port}" for port in found]
        return peers.each(self.python, "bytewax_count", job, addresses=addresses)
