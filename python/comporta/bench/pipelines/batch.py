"""The job, a batch at a time: polars splits and converts whole columns."""

import polars as pl

import comporta as c
from comporta.bench.job import TIME_FORMAT
from comporta.bench.pipelines import METRICS

pipeline = c.Pipeline("bench", time_format=TIME_FORMAT, metrics=METRICS)

BEFORE, REQUEST, ANSWER = (pl.col("line").struct.field(f"field_{number}") for number in range(3))


@pipeline.transform_batch
def transform(batch):
    lines = pl.from_arrow(batch["value"].cast("string")).to_frame("line")
    parts = lines.select(pl.col("line").str.splitn('"', 4))
    # `ADDRESS - - [TIME] `, `METHOD PATH VERSION`, ` STATUS BYTES `; what is no number in its place raises,
    # and the batch is halved until the lines that do it are alone, and dead letters.
    return parts.select(
        time=BEFORE.str.tail(28).str.head(26),
        method=REQUEST.str.splitn(" ", 2).struct.field("field_0"),
        status=ANSWER.str.slice(1, 3).cast(pl.Int64),
        bytes=ANSWER.str.slice(5).str.strip_chars().replace("-", "0").cast(pl.Int64),
    )
