"""Where the time of batches goes: the steps of their way, and how that is said."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Step(NamedTuple):
    """A step of a batch's way, the processes that take it, and how long they took, in seconds.

    `share` is that of the time that they had.
    """

    process: str
    step: str
    seconds: float
    share: float
    us_a_record: float


STEPS = {
    "fetch_us": ("source", "fetch"),
    "decode_us": ("workers", "decode"),
    "transform_us": ("workers", "transform"),
    "claim_us": ("workers", "claim"),
    "sum_us": ("workers", "sum up"),
    "idle_us": ("workers", "idle"),
    "fold_us": ("store", "fold"),
    "flush_us": ("store", "flush"),
}
"""All but `idle_us` are said by the release. Flushing goes on beside folding."""


@dataclass(frozen=True)
class Profile:
    """Where the time of `consumed` records went, which that many `workers` worked on.

    `sums` are microseconds by step, as a report of the release has them; and `wait_us`, how long batches
    waited for workers; `elapsed_us`, since the first one came; `begun`, how many workers have begun with.
    """

    sums: Mapping[str, int]
    workers: int
    consumed: int

    def steps(self) -> list[Step]:
        """Each step. Workers that are `idle` waited for batches, or were being started."""
        elapsed = self.sums["elapsed_us"]
        busy = sum(self.sums.get(key, 0) for key, (process, _) in STEPS.items() if process == "workers")
        sums = {**self.sums, "idle_us": max(0, elapsed * self.workers - busy)}
        return [
            Step(
                process,
                step,
                round(sums[key] / 1_000_000, 3),
                round(sums[key] / max(1, elapsed * (self.workers if process == "workers" else 1)), 3),
                round(sums[key] / max(1, self.consumed), 3),
            )
            for key, (process, step) in STEPS.items()
        ]

    def waited(self) -> float:
        """Milliseconds that a batch waited for a worker to begin with it, on average."""
        return round(self.sums["wait_us"] / max(1, self.sums["begun"]) / 1000, 1)

    def summary(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "elapsed_seconds": round(self.sums["elapsed_us"] / 1_000_000, 3),
            "workers": self.workers,
            "batches": self.sums["begun"],
            "batch_waited_ms": self.waited(),
            "steps": [step._asdict() for step in self.steps()],
        }

    def brief(self) -> str:
        """What the workers' time goes to, in a few words."""
        steps = [step for step in self.steps() if step.process == "workers" and step.share >= 0.005]
        shares = [f"{step.step} {step.share:.0%}" for step in steps]
        return f"workers: {', '.join(shares)}"

    def lines(self) -> list[str]:
        """All of it, as people read it."""
        head = (
            f"where the time went, {self.sums['elapsed_us'] / 1_000_000:.1f} s since the first batch came"
            f" ({self.workers:,} workers; a batch waited {self.waited():,} ms for one):"
        )
        return [
            head,
            *(
                f"  {step.process:8} {step.step:10} {step.seconds:>10,.3f} s {step.share:>6.1%}"
                f" {step.us_a_record:>9,.3f} us a record"
                for step in self.steps()
            ),
        ]


def microseconds_since(began: float) -> int:
    """How long ago `time.perf_counter` was that."""
    return int((time.perf_counter() - began) * 1_000_000)
