"""A bare loop in one process: what Python alone can do."""

from __future__ import annotations

import sys

from comporta.bench import peers
from comporta.bench.system import Job, System


class Bare(System):
    """Over lines that were decoded beforehand."""

    name = "bare"
    title = "a bare loop over lines decoded beforehand, one process"
    as_read = False

    def commands(self, job: Job) -> list[list[str]]:
        return [peers.python(sys.executable, "bare", job, as_read=self.as_read)]


class BareFile(Bare):
    """Over the file as it is read."""

    name = "bare-file"
    title = "a bare loop over a file, one process"
    as_read = True
