"""A bare loop with hand-written counters, over lines decoded beforehand or, told to, as it reads the file."""

import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from job import parse


def main(file, folder, how):
    totals = {}
    with Path(file).open("rb") as opened:
        lines = opened if how == "file" else [line.rstrip(b"\n") for line in opened]
        first = time.time()
        for line in lines:
            minute, status, method, size = parse(line)
            group = minute, status, method
            total = totals.get(group)
            if total is None:
                totals[group] = [1, size]
            else:
                total[0] += 1
                total[1] += size
        last = time.time()
    rows = [[*group, *total] for group, total in totals.items()]
    left = {"first": first, "last": last, "totals": rows}
    (Path(folder) / "result-bare.json").write_text(json.dumps(left))


main(*sys.argv[1:])
