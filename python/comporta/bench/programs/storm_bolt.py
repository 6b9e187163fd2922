"""A bolt of pystorm that parses and counts lines."""

from __future__ import annotations

import time
from typing import Any

import share
from pystorm.bolt import Bolt


class Count(Bolt):
    """Keeps the totals of the lines that it gets."""

    auto_anchor = False

    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any]) -> None:
        """Called once, before the first line."""
        self.task = share.told()
        self.task.number = context["taskid"]
        self.parse = self.task.parse
        self.tally = share.Tally()
        share.watch(self.task, self.tally, self.leave)

    def process(self, tup: Any) -> None:
        """Count one line."""
        tally = self.tally
        if not tally.first:
            tally.first = time.time()
        row = self.parse(tup.values[0].encode())
        tally.last = time.time()  # before the line counts: the last of all ends the run
        tally.add(*row)

    def leave(self) -> None:
        """Leave the totals, for which the topology waits."""
        self.tally.leave(self.task.folder, str(self.task.number))


if __name__ == "__main__":
    Count().run()
