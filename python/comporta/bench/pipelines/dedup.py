"""The job, each line counted once by the id at its end."""

import comporta as c
from comporta.bench.pipelines import METRICS, row

pipeline = c.Pipeline("bench", dedup=c.by_id("id", within="1h"), metrics=METRICS)


@pipeline.transform
def transform(line):
    made = row(line)
    made["id"] = line[line.rindex(b" ") + 1 :].decode()
    return made
