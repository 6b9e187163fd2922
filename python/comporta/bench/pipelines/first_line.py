"""The job by a transform that writes down when it was first called."""

import os
import time
from pathlib import Path

import comporta as c
from comporta.bench.pipelines import METRICS, row

FIRST = Path(os.environ.get("COMPORTA_BENCH_FIRST_LINE", os.devnull))

pipeline = c.Pipeline("bench", metrics=METRICS)


@pipeline.transform
def transform(line):
    if not FIRST.exists():
        FIRST.write_text(str(time.time()))
    return row(line)
