"""Requests that stand out, scored by scikit-learn in the transform, a batch at a time.

Each worker fits its own model when it loads the file, to the same lines with the same seed.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

import comporta as c

LINE = (
    r'^(?P<visitor>\S+) \S+ \S+ \[.+?\] "(?P<method>\S+) (?P<path>\S+).*?" '
    r"(?P<status>\d{3}) (?P<bytes>\d+|-)"
)


def parsed(lines):
    return lines.str.extract(LINE).assign(bytes=lambda rows: pd.to_numeric(rows["bytes"].replace("-", "0")))


def features(rows):
    path = rows["path"]
    columns = [
        np.log1p(rows["bytes"]),
        path.str.len(),
        path.str.count("/"),
        path.str.count("%"),
        rows["status"].str[0],
    ]
    return np.column_stack([np.asarray(column, dtype=float) for column in columns])


SAMPLE = Path(__file__).with_name("access.log").read_text().splitlines()[:2000]
MODEL = IsolationForest(n_estimators=50, random_state=1).fit(features(parsed(pd.Series(SAMPLE))))

pipeline = c.Pipeline(
    "odd-requests",
    metrics=[
        c.count("requests", by=["odd"]),
        c.quantiles("scores", of="score"),
        c.top("odd_paths", of="odd_path", k=10),
    ],
)


@pipeline.transform_batch
def score(batch):
    rows = parsed(pd.Series(batch["value"].cast("string").to_pylist()))
    if rows["status"].isna().any():
        raise ValueError("not a line of the combined format")
    scores = MODEL.score_samples(features(rows))
    odd = scores < -0.6
    return pd.DataFrame({"score": scores, "odd": odd, "odd_path": rows["path"].where(odd)})
