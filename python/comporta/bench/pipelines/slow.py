"""The job by a transform that takes 50 µs a line."""

import time

import comporta as c
from comporta.bench.job import parse

SECONDS = 50e-6

pipeline = c.Pipeline(
    "bench",
    metrics=[
        c.count("requests", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
    ],
)


@pipeline.transform
def transform(line):
    end = time.perf_counter() + SECONDS
    minute, status, method, size = parse(line)
    while time.perf_counter() < end:
        pass
    return {"time": minute, "status": status, "method": method, "bytes": size}
