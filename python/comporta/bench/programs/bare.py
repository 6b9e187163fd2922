"""A bare loop with hand-written counters, over lines decoded beforehand or, told to, as it reads the file."""

import time
from pathlib import Path

from loop import count
from share import leave, told


def main(task):
    totals = {}
    with Path(task.file).open("rb") as opened:
        lines = opened if task.more["as_read"] else [line.rstrip(b"\n") for line in opened]
        first = time.time()
        count(task.parse, totals, lines)
        last = time.time()
    leave(task.folder, "bare", first, last, totals)


main(told())
