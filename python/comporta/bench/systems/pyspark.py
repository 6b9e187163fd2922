"""PySpark structured streaming: one local driver with a thread and a Python for each core.

Lines go to Python in batches of Arrow (`mapInArrow`), whose size its reference has set by
`spark.sql.execution.arrow.maxRecordsPerBatch`. There are as many shuffle partitions as cores; the trigger
`availableNow` ends the query with the topic.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers
from comporta.bench.system import Job

VERSION = "4.1.1"


class PySpark(peers.PythonPeerWithJars):
    """`programs/spark_count.py`."""

    name: ClassVar[str] = "pyspark"
    title: ClassVar[str] = f"PySpark {VERSION} structured streaming, a thread and a Python for each core"
    requirements: ClassVar[tuple[str, ...]] = (
        f"pyspark=={VERSION}",
        "py4j==0.10.9.9",
        "pyarrow==22.0.0",
        "pandas==2.3.3",  # Spark wants it for Arrow
    )
    folder: ClassVar[str] = f"spark-kafka-{VERSION}"
    jars: ClassVar[tuple[str, ...]] = (f"org.apache.spark:spark-sql-kafka-0-10_2.13:{VERSION}",)

    def commands(self, job: Job) -> list[list[str]]:
        """The driver, which is all of a local cluster."""
        return [peers.python(self.python, "spark_count", job, jars=list(map(str, self.found)))]
