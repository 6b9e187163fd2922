"""The job as a streaming query of Spark: lines are parsed in Python by batches of Arrow, then grouped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pyarrow
import share
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

SCHEMA = "minute long, status int, method string, bytes long"
NAMES = ["minute", "status", "method", "bytes"]
TYPES = [pyarrow.int64(), pyarrow.int32(), pyarrow.string(), pyarrow.int64()]


def reader(argument: str) -> Any:
    """What Spark calls in its own processes with the batches of a partition."""

    def read(batches: Iterator[Any]) -> Iterator[Any]:
        task = share.Task(argument)
        parse = task.parse
        first = task.folder / f"first-{os.getpid()}"
        for batch in batches:
            if not first.exists():
                first.write_text(str(time.time()))
            rows = [parse(line) for line in batch.column(0).to_pylist()]
            columns = [
                pyarrow.array(column, kind)
                for column, kind in zip(zip(*rows, strict=True), TYPES, strict=True)
            ]
            yield pyarrow.RecordBatch.from_arrays(columns, NAMES)

    return read


def main() -> None:
    """Run the query until it has read what was in the topic when it began."""
    task = share.told()
    tally = share.Tally()
    os.environ["PYSPARK_PYTHON"] = sys.executable  # of Spark's own processes
    share.be_found_by_children()
    spark = (
        SparkSession.builder.master(f"local[{task.processes}]")
        .config("spark.jars", ",".join(task.more["jars"]))
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", task.processes)
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 10_000)
        .config("spark.sql.streaming.checkpointLocation", str(task.folder / "state"))
        .config("spark.driver.memory", "2g")
        .getOrCreate()
    )
    lines = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", task.kafka)
        .option("subscribe", task.topic)
        .option("startingOffsets", "earliest")
        .load()
        .select("value")
    )
    totals = (
        lines.mapInArrow(reader(sys.argv[1]), SCHEMA)
        .groupBy("minute", "status", "method")
        .agg(f.count("*").alias("count"), f.sum("bytes").alias("bytes"))
    )

    def take(frame: Any, number: int) -> None:
        rows = frame.collect()
        tally.last = time.time()
        for row in rows:
            tally.totals[row["minute"], row["status"], row["method"]] = [row["count"], row["bytes"]]

    query = totals.writeStream.outputMode("update").trigger(availableNow=True).foreachBatch(take).start()
    query.awaitTermination()
    spark.stop()
    tally.first = min(float(path.read_text()) for path in task.folder.glob("first-*"))
    tally.leave(task.folder, "0")


if __name__ == "__main__":
    main()
