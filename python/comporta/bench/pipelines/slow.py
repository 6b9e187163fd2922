"""The job by a transform that takes 50 µs a line."""

import time

import comporta as c
from comporta.bench.pipelines import METRICS, row

SECONDS = 50e-6

pipeline = c.Pipeline("bench", metrics=METRICS)


@pipeline.transform
def transform(line):
    end = time.perf_counter() + SECONDS
    made = row(line)
    while time.perf_counter() < end:
        pass
    return made
