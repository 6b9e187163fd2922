"""A bare loop in one process: what Python alone can do."""

from __future__ import annotations

import sys

from comporta.bench.loops import PROGRAMS
from comporta.bench.system import Job, System


class Bare(System):
    """Over lines that were decoded beforehand."""

    name = "bare"
    title = "a bare loop over lines decoded beforehand, one process"
    how = "memory"

    def commands(self, job: Job) -> list[list[str]]:
        return [[sys.executable, str(PROGRAMS / "bare.py"), str(job.file), str(job.folder), self.how]]


class BareFile(Bare):
    """Over the file as it is read."""

    name = "bare-file"
    title = "a bare loop over a file, one process"
    how = "file"
