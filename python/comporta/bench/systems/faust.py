"""Faust: a worker for each core in one consumer group.

Lines are taken a thousand at a time with `Stream.take`, Faust's way to process batches, from a larger buffer
(`stream_buffer_maxsize`) and larger fetches (`consumer_max_fetch_size`). Totals are in each worker's memory.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job

VERSION = "0.15.3"


class Faust(peers.PythonPeer):
    """`programs/faust_count.py`."""

    name: ClassVar[str] = "faust"
    title: ClassVar[str] = f"Faust {VERSION}, a worker for each core"
    requirements: ClassVar[tuple[str, ...]] = (
        f"faust-streaming=={VERSION}",
        "mode-streaming==0.7.1",
        "aiokafka==0.14.0",
        "cramjam==2.11.0",  # reads lz4
    )

    def commands(self, job: Job) -> list[list[str]]:
        """The workers."""
        return peers.each(self.python, "faust_count", job)
