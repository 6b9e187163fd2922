"""Events as JSON lines, each with an id: one that was sent twice is counted once."""

import json

import comporta as c

pipeline = c.Pipeline(
    "json-events",
    dedup=c.by_id("id", within="24h"),
    metrics=[
        c.count("events", by=["type"], every="1h"),
        c.distinct("users", of="user", by=["type"]),
        c.mean("typical_ms", of="ms", by=["type"]),
        c.quantiles("latency_ms", of="ms"),
    ],
)


@pipeline.transform
def parse(line):
    return json.loads(line)
