"""Workloads that come to an end, as a test waits for it."""

from __future__ import annotations

from typing import ClassVar

from comporta.chaos.workload import Event, Workload


class FewEvents(Workload):
    """A workload of `most` events, all of them due at once; `is_over` once the last was taken."""

    most: ClassVar[int]
    is_over = False

    def due(self, seconds: float) -> int:
        return self.most

    def event(self, number: int) -> Event:
        self.is_over = self.is_over or number == self.most - 1
        return super().event(number)
