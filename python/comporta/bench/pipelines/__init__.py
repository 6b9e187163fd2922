"""The job as pipelines of Comporta, each a `FILE.py` for `comporta run`; here what they have in common."""

import comporta as c
from comporta.bench.job import parse, parse_with_path

METRICS = [
    c.count("requests", by=["status", "method"], every="1m"),
    c.sum("bytes", of="bytes", by=["status", "method"], every="1m"),
]


def row(line):
    """What is counted of a line."""
    minute, status, method, size = parse(line)
    return {"time": minute, "status": status, "method": method, "bytes": size}


def row_with_path(line):
    """The same, and the path."""
    minute, status, method, size, path = parse_with_path(line)
    return {"time": minute, "status": status, "method": method, "bytes": size, "path": path}
