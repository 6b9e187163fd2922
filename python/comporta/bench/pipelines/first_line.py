"""The job by a transform that writes down when it was first called."""

import os
import time
from pathlib import Path

import comporta as c
from comporta.bench.job import parse

FIRST = Path(os.environ.get("COMPORTA_BENCH_FIRST_LINE", os.devnull))

pipeline = c.Pipeline(
    "bench",
    metrics=[
        c.count("requests", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
    ],
)


@pipeline.transform
def transform(line):
    if not FIRST.exists():
        FIRST.write_text(str(time.time()))
    minute, status, method, size = parse(line)
    return {"time": minute, "status": status, "method": method, "bytes": size}
