"""The job, each line counted once by the id at its end."""

import comporta as c
from comporta.bench.job import parse

pipeline = c.Pipeline(
    "bench",
    dedup=c.by_id("id", within="1h"),
    metrics=[
        c.count("requests", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
    ],
)


@pipeline.transform
def transform(line):
    minute, status, method, size = parse(line)
    return {
        "time": minute,
        "status": status,
        "method": method,
        "bytes": size,
        "id": line[line.rindex(b" ") + 1 :].decode(),
    }
