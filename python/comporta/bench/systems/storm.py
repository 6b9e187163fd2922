"""Storm with pystorm: one worker, a spout, and a bolt in Python for each core.

From its "Performance Tuning": few samples of statistics (`topology.stats.sample.rate`) and a single worker,
in which nothing is serialized between executors. There are no ackers and no processing guarantee of the
spout: that saves a message for each line. A batch size of more than 1 (`topology.producer.batch.size`), which
is advised as well, is left out: the last lines of some runs stayed in a batch that was not full, for good.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job

VERSION = "2.8.0"


class Storm(peers.JavaPeer, peers.PythonPeer):
    """`programs/StormCount.java` and `programs/storm_bolt.py`."""

    name: ClassVar[str] = "storm"
    title: ClassVar[str] = f"Storm {VERSION} with pystorm 3.1.4, a bolt for each core"
    requirements: ClassVar[tuple[str, ...]] = ("pystorm==3.1.4", "simplejson==4.3.0", "six==1.17.0")
    program: ClassVar[str] = "StormCount"
    folder: ClassVar[str] = f"storm-kafka-{VERSION}"
    jars: ClassVar[tuple[str, ...]] = (
        f"org.apache.storm:storm-server:{VERSION}",
        f"org.apache.storm:storm-kafka-client:{VERSION}",
        "org.apache.kafka:kafka-clients:3.9.1",
    )

    def install(self, cache: Path) -> None:
        """A virtual environment, jars and classes."""
        peers.PythonPeer.install(self, cache)
        peers.JavaPeer.install(self, cache)

    def commands(self, job: Job) -> list[list[str]]:
        """One JVM, which starts the bolts."""
        bolt = peers.python(self.python, "storm_bolt", job)
        return [peers.java(self.classpath, self.program, job, *bolt)]
