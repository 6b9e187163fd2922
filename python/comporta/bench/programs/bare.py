"""A bare loop with hand-written counters, over lines decoded beforehand or, told to, as it reads the file.

Of several at once, each has its share of the lines, and none begins before all of them have theirs.
"""

import time
from itertools import islice
from pathlib import Path

from loop import count
from share import leave, meet, told


def main(task):
    totals = {}
    with Path(task.file).open("rb") as opened:
        lines = opened
        if not task.more["as_read"]:
            lines = [line.rstrip(b"\n") for line in islice(opened, task.number, None, task.processes)]
        meet(task)
        first = time.time()
        count(task.parse, totals, lines)
        last = time.time()
    leave(task.folder, f"bare-{task.number}", first, last, totals)


main(told())
