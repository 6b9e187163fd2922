"""The job, and the requests of each path and minute besides."""

import comporta as c
from comporta.bench.job import parse_with_path

pipeline = c.Pipeline(
    "bench",
    metrics=[
        c.count("requests", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
        c.count("by_path", by=["path"], every="1m"),
    ],
)


@pipeline.transform
def transform(line):
    minute, status, method, size, path = parse_with_path(line)
    return {"time": minute, "status": status, "method": method, "bytes": size, "path": path}
