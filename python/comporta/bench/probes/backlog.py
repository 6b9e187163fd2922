"""Memory under a backlog: what each process of a run has resident at most while its store is away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from comporta.bench import job as the_job
from comporta.bench.probe import Bench, Probe
from comporta.bench.system import Failed
from comporta.bench.systems.comporta import IntoCassandra
from comporta.bench.topics import Load
from comporta.chaos.processes import kill_tree, resident, role, tree

BACKLOG = Load(share=10.0)
AWAY = 60.0  # seconds that the store is frozen as soon as it works
BEGIN = 120.0  # seconds within which it must work
SLOWEST = 5_000  # lines a second
POLL = 0.1
MB = 1e6
PARTS = {"beam", "source", "store", "worker"}
# What the transform imports by itself, in an interpreter that has nothing of Comporta.
IMPORTS = """
import os, sys
sys.path.append(sys.argv[1])
import job
print(int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
"""


class Backlog(Probe):
    """Ten times the standard topic is counted into a Cassandra that is frozen meanwhile, then woken.

    All settings are at their defaults. Of several workers, the largest counts.
    """

    name = "backlog"
    needs = ("cassandra",)

    def find(self, bench: Bench) -> Mapping[str, float]:
        system, loaded = IntoCassandra(), bench.load(BACKLOG)
        job = bench.job(loaded, self.name, self.needs)
        system.prepare(job)
        [words] = system.commands(job)
        cassandra = bench.services.node("cassandra")
        with (job.folder / "output.log").open("wb") as log:
            run = subprocess.Popen(words, cwd=job.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            most: dict[str, int] = {}
            _watch(run, most, BEGIN)
            cassandra.stop()
            try:
                _watch(run, most, AWAY, is_whole=False)
            finally:
                cassandra.resume()
            _watch(run, most, loaded.lines / SLOWEST, is_whole=False)
            if run.poll() != 0:
                raise Failed("it did not come to its end")
        finally:
            kill_tree(run.pid)
            run.wait()
        if system.totals(job) != loaded.totals:
            raise Failed("the totals are wrong")
        return {"beam": most["beam"] / MB, "worker": (most["worker"] - _imports()) / MB}


def _watch(
    run: subprocess.Popen[bytes], most: dict[str, int], seconds: float, *, is_whole: bool = True
) -> None:
    """Note the most that each part has resident, for so long, until it ends, or until all parts are there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and run.poll() is None and not (is_whole and most.keys() >= PARTS):
        for pid, line in tree(run.pid).items():
            part, size = role(line), resident(pid)
            if part and size:
                most[part] = max(most.get(part, 0), size)
        time.sleep(POLL)


def _imports() -> int:
    words = [sys.executable, "-c", IMPORTS, str(Path(the_job.__file__).parent)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
