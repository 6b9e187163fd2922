"""Requests, traffic and visitors of a web server, from its access log in the combined format."""

import re

import comporta as c

LINE = re.compile(
    r"(?P<visitor>\S+) \S+ \S+ \[(?P<time>.+?)\] "
    r'"(?P<method>\S+) (?P<path>\S+).*?" (?P<status>\d+) (?P<bytes>\d+|-)'
)

pipeline = c.Pipeline(
    "access-log",
    time_format="%d/%b/%Y:%H:%M:%S %z",
    metrics=[
        c.count("requests", by="status"),
        c.count("requests_by_hour", by="method", every="1h"),
        c.sum("bytes", of="bytes"),
        c.distinct("visitors", of="visitor"),
        c.top("pages", of="path", k=10),
    ],
)


@pipeline.transform
def parse(line):
    match = LINE.match(line.decode())
    if not match:
        raise ValueError("not a line of the combined format")  # a dead letter; to drop it, return None
    row = match.groupdict()
    return row | {"status": int(row["status"]), "bytes": int(row["bytes"].replace("-", "0"))}
