"""How long it takes after a `kill -9` until a run is as fast again as before."""

from __future__ import annotations

import time
from collections.abc import Mapping

from comporta.bench.probe import Bench, Probe
from comporta.bench.system import Failed
from comporta.bench.systems.comporta import Comporta
from comporta.bench.topics import Load
from comporta.chaos.member import Member
from comporta.chaos.positions import SqlitePosition
from comporta.chaos.processes import send

BACKLOG = Load(share=10.0)
FLUSH = "100ms"  # often, as it is seen by what is durable
EVERY = 0.05  # seconds between two looks
BEGIN = 60.0  # seconds within which something must be durable
BEFORE = 4.0  # seconds over which the rate before is taken, as soon as it has worked for so long
WINDOW = 1.0  # seconds over which it must be as fast again
AFTER = 30.0  # seconds within which it must be
KEPT = 0.9  # of the rate before

Samples = list[tuple[float, int]]
"""Times, and how many records were durable then."""


class Recovery(Probe):
    """The command is kept running as a system's service manager would; SQLite is the store."""

    name = "recovery"

    def find(self, bench: Bench) -> Mapping[str, float]:
        return {role: _recovered(bench, role) for role in ("worker", "source", "beam")}


def _recovered(bench: Bench, role: str) -> float:
    system, loaded = Comporta(), bench.load(BACKLOG)
    job = bench.job(loaded, f"recovery-{role}", system.needs)
    words = [system.file, *system.source(job), *system.store(job)]
    words += ["--flush-every", FLUSH, "--workers", str(job.processes)]
    member = Member("run", words, {}, job.folder)
    position = SqlitePosition(job.folder / "store.db")
    samples: Samples = []

    def look() -> None:
        if durable := position():
            samples.append((time.monotonic(), durable.records))
        time.sleep(EVERY)

    member.start()
    try:
        begun = time.monotonic()
        while not samples or not samples[-1][1]:
            look()
            if time.monotonic() > begun + BEGIN:
                raise Failed("nothing was counted")
        begun = time.monotonic()
        while time.monotonic() < begun + 2 * BEFORE:
            look()
        killed, rate = samples[-1][0], steady(samples)
        send(member.pids(role)[0])
        while (back := back_after(samples, killed, KEPT * rate)) is None:
            look()
            if samples[-1][1] >= loaded.lines:
                raise Failed(f"the topic came to its end after kill -9 of the {role}: give more --lines")
            if time.monotonic() > killed + AFTER:
                raise Failed(f"it was not as fast again within {AFTER:.0f} s after kill -9 of the {role}")
        return back
    finally:
        member.stop(at_once=True)


def steady(samples: Samples) -> float:
    """The rate over the last seconds."""
    last, most = samples[-1]
    first, least = next(sample for sample in samples if sample[0] >= last - BEFORE)
    return (most - least) / (last - first)


def back_after(samples: Samples, killed: float, rate: float) -> float | None:
    """How long after the kill there began a window in which the rate was this again; None if none has yet."""
    later = [sample for sample in samples if sample[0] >= killed]
    for index, (began, least) in enumerate(later):
        ended = next((each for each in later[index:] if each[0] >= began + WINDOW), None)
        if ended and (ended[1] - least) / (ended[0] - began) >= rate:
            return began - killed
    return None
