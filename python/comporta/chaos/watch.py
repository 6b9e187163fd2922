"""How much is acknowledged, and how much of it is durable: looked at several times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from comporta.chaos.positions import Durable

EVERY = 0.2  # seconds


class Sample(NamedTuple):
    """`at` is in seconds since the watch began; `durable` is None where the store could not be asked."""

    at: float
    acknowledged: int
    durable: int | None


class Watch:
    """Takes samples in a thread of its own until `stop`."""

    def __init__(self, acknowledged: Callable[[], int], durable: Callable[[], Durable | None]) -> None:
        self.samples: list[Sample] = []
        self._reached: Mapping[str, int] = {}
        self._acknowledged = acknowledged
        self._durable = durable
        self._began = time.monotonic()
        self._must_end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._began

    @property
    def durable(self) -> int:
        """How much is known to be durable."""
        return max((sample.durable or 0 for sample in self.samples), default=0)

    def stop(self) -> None:
        """Take no more samples."""
        self._must_end.set()
        self._thread.join()

    def wait_for(self, amount: int, ends: Mapping[str, int], seconds: float) -> float | None:
        """When so much was durable, and each partition up to its end; None if that took too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.samples and (self.samples[-1].durable or 0) >= amount and self._has_reached(ends):
                return self.samples[-1].at
            time.sleep(EVERY / 4)
        return None

    def _has_reached(self, ends: Mapping[str, int]) -> bool:
        return all(self._reached.get(partition, 0) >= end for partition, end in ends.items())

    def _run(self) -> None:
        while not self._must_end.wait(EVERY):
            acknowledged = self._acknowledged()
            durable = self._durable()
            self._reached = durable.reached if durable else self._reached
            self.samples.append(Sample(self.now(), acknowledged, durable.records if durable else None))


def longest_stop(samples: Iterable[Sample], began: float, ended: float) -> float:
    """For how many seconds at most, of those from `began` to `ended`, no more became durable."""
    times, most = [began], 0
    for sample in samples:
        if (sample.durable or 0) > most:
            most = sample.durable or 0
            if began < sample.at < ended:
                times.append(sample.at)
    return max(after - before for before, after in pairwise([*times, ended]))
