"""Plain loops in Python as systems: how their programs are started."""

from __future__ import annotations

import json
from pathlib import Path

from comporta.bench.system import Job

PROGRAMS = Path(__file__).with_name("programs")


def commands(python: str, program: str, job: Job, processes: int, *, only_counts: bool) -> list[list[str]]:
    """So many processes of a program, each with its share of the partitions."""
    given = job._asdict() | {"folder": str(job.folder), "file": str(job.file), "group": job.group}
    given |= {"processes": processes, "only_counts": only_counts}
    path = str(PROGRAMS / f"{program}.py")
    return [[python, path, json.dumps(given | {"number": number})] for number in range(processes)]
