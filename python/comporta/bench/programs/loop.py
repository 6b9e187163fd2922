"""What plain loops have in common: their share of the job, hand-written counters, and what they leave."""

import json
import sys
import time
from pathlib import Path

# Last, so that no package of an environment is hidden by a neighbour of the job.
sys.path.append(str(Path(__file__).resolve().parents[1]))
from job import parse


class Share:
    """The partitions of one of several processes, and what it has counted of them.

    Partitions are shared out beforehand: who joins a group late would have others count what is its own.
    """

    def __init__(self, arguments):
        given = json.loads(arguments)
        self.kafka, self.topic, self.group = given["kafka"], given["topic"], given["group"]
        self.only_counts = given["only_counts"]
        self.partitions = list(range(given["number"], given["partitions"], given["processes"]))
        self.left = given["lines"] // given["partitions"] * len(self.partitions)
        self._path = Path(given["folder"], f"result-{given['number']}.json")
        self._totals = {}
        self._first = None

    def count(self, lines):
        """Count lines, which are at hand now."""
        if self._first is None:
            self._first = time.time()
        self.left -= len(lines)
        if self.only_counts:
            return
        totals = self._totals
        for line in lines:
            minute, status, method, size = parse(line)
            group = minute, status, method
            total = totals.get(group)
            if total is None:
                totals[group] = [1, size]
            else:
                total[0] += 1
                total[1] += size

    def leave(self, counted):
        """Leave the result, once all lines are counted: so many."""
        rows = [[0, 0, "", counted, 0]]
        if not self.only_counts:
            rows = [[*group, *total] for group, total in self._totals.items()]
        self._path.write_text(json.dumps({"first": self._first, "last": time.time(), "totals": rows}))
