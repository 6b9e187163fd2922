"""The job, and the requests of each path and minute besides."""

import comporta as c
from comporta.bench.pipelines import METRICS, row_with_path

pipeline = c.Pipeline("bench", metrics=[*METRICS, c.count("by_path", by=["path"], every="1m")])
pipeline.transform(row_with_path)
