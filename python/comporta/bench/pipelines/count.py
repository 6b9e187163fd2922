"""The job, a record at a time."""

import comporta as c
from comporta.bench.pipelines import METRICS, row

pipeline = c.Pipeline("bench", metrics=METRICS)
pipeline.transform(row)
