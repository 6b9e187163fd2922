"""Loops over what aiokafka's `getmany` gives."""

from __future__ import annotations

import sys

from comporta.bench import peers
from comporta.bench.system import Job, System


class Aiokafka(System):
    """In as many processes as cores."""

    name = "aiokafka"
    title = "aiokafka loops in as many processes as cores"

    def commands(self, job: Job) -> list[list[str]]:
        return peers.each(sys.executable, "aiokafka_loop", job, only_counts=False)


class AiokafkaNothing(System):
    """Records are only counted, in one process."""

    name = "aiokafka-nothing"
    title = "aiokafka's getmany with nothing to compute, one process"
    only_counts = True

    def commands(self, job: Job) -> list[list[str]]:
        return peers.each(sys.executable, "aiokafka_loop", job._replace(processes=1), only_counts=True)
