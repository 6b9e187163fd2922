"""One trial: a workload on a system, faults one after another, and the verdict at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from comporta.chaos.fault import Breach
from comporta.chaos.judge import Verdict, judge
from comporta.chaos.schedule import Planned
from comporta.chaos.system import System
from comporta.chaos.watch import Sample, Watch, longest_stop
from comporta.chaos.workload import Kind

WHOLE = 180.0  # seconds within which nothing may be missing any more of members and services
BEGIN = 60.0  # seconds within which the first event must be durable
GONE = 30.0  # seconds within which no process may be left once all members have ended
SETTLE = 120.0  # seconds within which more must become durable, once no more are sent and nothing is wrong
ASK_EVERY = 0.2  # seconds between two questions where the source ends
LOST_CLAIMS = "has lost claims"  # what the log says then

Say = Callable[[str, dict[str, Any]], None]
"""Told what happens: a word for it, and its figures."""


@dataclass
class Injection:
    """A fault as it was injected: when, to what, and when everything acknowledged by its end was durable.

    Times are seconds since the trial began; `recovered` is None where that took too long. `stopped_ms` is the
    longest time in which nothing became durable.
    """

    fault: str
    target: str
    began: float
    healed: float
    recovered: float | None = None
    stopped_ms: int = 0

    @property
    def label(self) -> str:
        """How what went wrong with it names it."""
        return f"{self.fault} ({self.target})"

    @property
    def recovery_ms(self) -> int | None:
        """Milliseconds from the fault's end until everything acknowledged by then was durable."""
        return None if self.recovered is None else max(0, round((self.recovered - self.healed) * 1000))


@dataclass
class Trial:
    """What came of a trial."""

    workload: str
    system: Kind
    seed: int
    acknowledged: int = 0
    injections: list[Injection] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    troubles: list[str] = field(default_factory=list)
    """What was wrong with how it ran, in words: a recovery that never came, a member that ended by itself."""
    may_have_lost_claims: bool = False

    @property
    def holds(self) -> bool:
        """Whether conservation, integrity and liveness hold."""
        return self.verdict.is_conserved and not self.verdict.breaches and not self.troubles


def run(system: System, planned: Iterator[Planned], seed: int, seconds: float, say: Say) -> Trial:
    """Inject faults for so many seconds, or until there are no more, let the system settle, and judge."""
    trial = Trial(system.workload.name, system.kind, seed)
    position = system.position()
    try:
        system.start()
        watch = Watch(lambda: system.producer.total, position)
        try:
            _disturb(system, watch, planned, seconds, trial, say)
            _settle(system, watch, trial, say)
        finally:
            watch.stop()
            trial.samples = watch.samples
        _stop(system, trial)
    finally:
        system.abandon()
        position.close()
    producer = system.producer
    trial.acknowledged = producer.total
    lost_claims = trial.may_have_lost_claims and system.has_said(LOST_CLAIMS)
    trial.verdict = judge(
        system.workload, producer.acknowledged, producer.poisoned, system.results(), lost_claims=lost_claims
    )
    return trial


def _disturb(
    system: System,
    watch: Watch,
    planned: Iterator[Planned],
    seconds: float,
    trial: Trial,
    say: Say,
) -> None:
    if watch.wait_for(1, {}, BEGIN) is None:
        trial.troubles.append(f"nothing was counted within {BEGIN:.0f} s")
        return
    deadline = time.monotonic() + seconds
    for pause, fault in planned:
        time.sleep(pause)
        system.producer.check()
        if time.monotonic() > deadline:
            return
        if not system.wait_until_whole(WHOLE):
            trial.troubles.append(f"not all of members and services was there again within {WHOLE:.0f} s")
            return
        began = watch.now()
        try:
            target = fault.inject(system)
        except Breach as breach:
            trial.troubles.append(f"{fault.name} could not be injected: {breach}")
            return
        say("fault", {"at": began, "fault": fault.name, "target": target})
        time.sleep(fault.seconds)
        if fault.is_survived(system) and _recover(system, watch, fault.recovery) is None:
            trial.troubles.append(f"{fault.name} ({target}) was not survived: nobody took over")
        try:
            fault.heal(system)
        except Breach as breach:
            trial.troubles.append(f"{fault.name} ({target}): {breach}")
        trial.may_have_lost_claims = trial.may_have_lost_claims or fault.may_lose_claims
        injection = Injection(fault.name, target, began, watch.now())
        trial.injections.append(injection)
        injection.recovered = _recover(system, watch, fault.recovery)
        injection.stopped_ms = round(
            1000 * longest_stop(watch.samples, began, injection.recovered or watch.now())
        )
        if injection.recovered is None:
            words = f"after {fault.name} ({target}) it did not recover within {fault.recovery:.0f} s"
            trial.troubles.append(words)
            return
        figures = {"after_ms": injection.recovery_ms, "stopped_ms": injection.stopped_ms}
        say("recovered", {"fault": fault.name} | figures)
        _note_exits(system, trial, f"after {fault.name} ({target})")


def _recover(system: System, watch: Watch, seconds: float) -> float | None:
    """When everything that is acknowledged now was durable; None if not within `seconds`."""
    deadline = time.monotonic() + seconds
    amount = system.producer.total
    while (ends := system.ends()) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(ASK_EVERY)
    return watch.wait_for(amount, ends, deadline - time.monotonic())


def _note_exits(system: System, trial: Trial, when: str) -> None:
    for member in system.everyone:
        while member.exits:
            trial.troubles.append(f"{when} {member.name} {member.exits.pop(0)}")


def _stop(system: System, trial: Trial) -> None:
    _note_exits(system, trial, "at the end")
    for member, status in zip(system.members, system.stop(), strict=True):
        if status:
            trial.troubles.append(f"{member.name}, which was to drain, ended with {status}")
    if left := system.wait_until_gone(GONE):
        trial.troubles.append(f"left behind by the members: {', '.join(left)}")


def _settle(system: System, watch: Watch, trial: Trial, say: Say) -> None:
    say("settling", {"at": watch.now()})
    try:
        system.producer.finish()
    except Exception as error:
        trial.troubles.append(f"the producer gave up: {error!r}")
    durable = watch.durable
    while _recover(system, watch, SETTLE) is None:
        if watch.durable == durable:
            words = (
                f"{durable:,} of {system.producer.total:,} were durable, and no more for {SETTLE:.0f} s:"
                " the others are judged as lost"
            )
            trial.troubles.append(words)
            return
        durable = watch.durable


def by_fault(trials: Sequence[Trial]) -> dict[str, list[Injection]]:
    """All injections, by fault."""
    found: dict[str, list[Injection]] = {}
    for trial in trials:
        for injection in trial.injections:
            found.setdefault(injection.fault, []).append(injection)
    return found
