"""What plain loops have in common: hand-written counters, and their share of the job."""

import time

from share import leave


def count(parse, totals, lines):
    """Count lines, in a plain loop."""
    for line in lines:
        minute, status, method, size = parse(line)
        group = minute, status, method
        total = totals.get(group)
        if total is None:
            totals[group] = [1, size]
        else:
            total[0] += 1
            total[1] += size


class Share:
    """The partitions of one of several processes, and what it has counted of them.

    Partitions are shared out beforehand: who joins a group late would have others count what is its own.
    """

    def __init__(self, task):
        self.task = task
        self.partitions = list(range(task.number, task.partitions, task.processes))
        self.left = self._all = task.lines // task.partitions * len(self.partitions)
        self._only_counts = task.more["only_counts"]
        self._parse = task.parse
        self._totals = {}
        self._first = None

    def count(self, lines):
        """Count lines, which are at hand now."""
        if self._first is None:
            self._first = time.time()
        self.left -= len(lines)
        if not self._only_counts:
            count(self._parse, self._totals, lines)

    def leave(self):
        """Leave the result, once all lines are counted."""
        totals = {(0, 0, ""): [self._all - self.left, 0]} if self._only_counts else self._totals
        leave(self.task.folder, str(self.task.number), self._first, time.time(), totals)
