"""PyFlink: a job of the DataStream API on a local cluster, with a Python for each core.

Functions run in processes of their own (`python.execution-mode: process`, the default): threads in the JVM
would share one interpreter's lock. Bundles are of 100,000 lines, as they are by default. Totals are in the
memory of the function, as state would cost more; the topic's end is a bound of the source.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job

VERSION = "2.2.0"


class PyFlink(peers.PythonPeerWithJars):
    """`programs/flink_count.py`."""

    name: ClassVar[str] = "pyflink"
    title: ClassVar[str] = f"PyFlink {VERSION}, a Python for each core"
    requirements: ClassVar[tuple[str, ...]] = (f"apache-flink=={VERSION}", "apache-beam==2.61.0")
    folder: ClassVar[str] = f"flink-kafka-{VERSION}"
    jars: ClassVar[tuple[str, ...]] = ("org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",)

    def commands(self, job: Job) -> list[list[str]]:
        """The client, whose JVM is the cluster."""
        jars = [path.as_uri() for path in self.found if path.name.startswith("flink-sql-connector-kafka-")]
        return [peers.python(self.python, "flink_count", job, jars=jars)]
