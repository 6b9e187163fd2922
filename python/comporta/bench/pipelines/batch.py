"""The job, a batch at a time: polars matches and converts whole columns."""

import polars as pl

import comporta as c
from comporta.bench.job import TIME_FORMAT

LINE = r'^\S+ \S+ \S+ \[(?<time>[^\]]+)\] "(?<method>\S+) \S+[^"]*" (?<status>\d{3}) (?<bytes>\d+|-)'

pipeline = c.Pipeline(
    "bench",
    time_format=TIME_FORMAT,
    metrics=[
        c.count("requests", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
    ],
)


@pipeline.transform_batch
def transform(batch):
    lines = pl.from_arrow(batch["value"].cast("string"))
    rows = lines.str.extract_groups(LINE).struct.unnest()
    if rows[
        "time"
    ].null_count():  # the batch is halved until the lines that do it are alone, and dead letters
        raise ValueError("not a line of the combined format")
    return rows.with_columns(
        pl.col("status").cast(pl.Int64), pl.col("bytes").replace("-", "0").cast(pl.Int64)
    )
