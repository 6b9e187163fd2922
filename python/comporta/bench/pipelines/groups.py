"""The job, and the requests of each path for all time besides: as many groups as there are paths."""

import comporta as c
from comporta.bench.pipelines import METRICS, row_with_path

pipeline = c.Pipeline("bench", metrics=[*METRICS, c.count("by_path", by=["path"])])
pipeline.transform(row_with_path)
