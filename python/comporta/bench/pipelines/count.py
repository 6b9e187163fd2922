"""The job, a record at a time."""

import comporta as c
from comporta.bench.job import parse

pipeline = c.Pipeline(
    "bench",
    metrics=[
        c.count("requests", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
    ],
)


@pipeline.transform
def transform(line):
    minute, status, method, size = parse(line)
    return {"time": minute, "status": status, "method": method, "bytes": size}
