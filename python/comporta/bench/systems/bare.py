"""Bare loops: what Python alone can do."""

from __future__ import annotations

import sys

from comporta.bench import peers
from comporta.bench.system import Job, System


class Bare(System):
    """Over lines that were decoded beforehand, in one process."""

    name = "bare"
    title = "a bare loop over lines decoded beforehand, one process"
    as_read = False

    def commands(self, job: Job) -> list[list[str]]:
        return peers.each(sys.executable, "bare", job._replace(processes=1), as_read=self.as_read)


class BareFile(Bare):
    """Over the file as it is read, in one process."""

    name = "bare-file"
    title = "a bare loop over a file, one process"
    as_read = True


class BareTogether(System):
    """Over lines that were decoded beforehand, a share of them in each of as many processes as cores.

    In none of the rows: it shows how far cores that are all busy are from as many times one that is alone.
    """

    name = "bare-together"
    title = "bare loops over lines decoded beforehand, as many processes as cores"

    def commands(self, job: Job) -> list[list[str]]:
        return peers.each(sys.executable, "bare", job, as_read=False)
