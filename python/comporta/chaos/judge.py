"""The verdicts on a run: conservation, integrity, liveness. It computes with nothing of the pipeline's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from comporta.chaos.harness import SURVIVED
from comporta.chaos.results import CommandFailed, Results
from comporta.chaos.workload import SLOTS, Workload


@dataclass
class Verdict:
    """`lost` and `doubled` are events; what else is wrong with the numbers is in `breaches`, in words.

    `passed` are duplicates that counted again, which they may where claims were lost and that was said.
    """

    lost: int = 0
    doubled: int = 0
    passed: int = 0
    is_balanced: bool = False
    breaches: list[str] = field(default_factory=list)

    @property
    def is_conserved(self) -> bool:
        """Whether every acknowledged event was counted exactly once, and the ledger balances."""
        return self.lost == 0 and self.doubled == 0 and self.is_balanced


def judge(
    workload: Workload,
    acknowledged: Sequence[int],
    poisoned: Sequence[str],
    results: Results,
    *,
    lost_claims: bool = False,
) -> Verdict:
    """Compare what was counted with what was acknowledged.

    After a loss of claims, as many events may be doubled as duplicates were sent. Which they are nobody
    knows, so that other metrics are not judged then.
    """
    verdict = Verdict()
    try:
        counted = workload.counted(acknowledged)
        _judge_events(counted, results, verdict)
        if lost_claims and verdict.doubled <= len(acknowledged) - len(counted):
            verdict.doubled, verdict.passed = 0, verdict.doubled
        _judge_ledger(len(acknowledged), len(counted) + verdict.passed, poisoned, results, verdict)
        _judge_letters(poisoned, results, verdict)
        if not verdict.passed:
            verdict.breaches += workload.check(counted, results)
    except CommandFailed as error:
        verdict.breaches.append(str(error))
    return verdict


def _judge_events(counted: Sequence[int], results: Results, verdict: Verdict) -> None:
    expected = Counter((number % SLOTS,) for number in counted)
    found = Counter(results.values("events"))
    verdict.lost = (expected - found).total()
    verdict.doubled = (found - expected).total()


def _judge_ledger(
    acknowledged: int, counted: int, poisoned: Sequence[str], results: Results, verdict: Verdict
) -> None:
    whole = results.ledger()[-1]
    survived = sum(kind in SURVIVED for kind in poisoned)
    expected = {
        "consumed": acknowledged + len(poisoned),
        "counted": counted,
        "dropped": survived,
        "duplicates": acknowledged - counted,
        "dead": len(poisoned) - survived,
        "in_flight": 0,
    }
    found = {name: whole[name] for name in expected}
    verdict.is_balanced = bool(whole["balanced"]) and found == expected
    if not verdict.is_balanced:
        verdict.breaches.append(f"the ledger is {found}, and must be {expected}")


def _judge_letters(poisoned: Sequence[str], results: Results, verdict: Verdict) -> None:
    expected = sum(kind not in SURVIVED for kind in poisoned)
    found = len(results.letters())
    if found != expected:
        verdict.breaches.append(f"there are {found} dead letters, and must be {expected}")
