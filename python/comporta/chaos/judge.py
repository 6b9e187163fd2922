"""The verdicts on a run: conservation, integrity, liveness. It computes with nothing of the pipeline's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
        survived = sum(kind in SURVIVED for kind in poisoned)
        dropped = workload.dropped(acknowledged) + survived
        dead = workload.dead(acknowledged) + len(poisoned) - survived
        duplicates = len(acknowledged) + len(poisoned) - len(counted) - dropped - dead
        if lost_claims and verdict.doubled <= duplicates:
            verdict.doubled, verdict.passed = 0, verdict.doubled
        ledger = {
            "consumed": len(acknowledged) + len(poisoned),
            "counted": len(counted) + verdict.passed,
            "dropped": dropped,
            "duplicates": duplicates - verdict.passed,
            "dead": dead,
            "in_flight": 0,
        }
        _judge_ledger(ledger, results, verdict)
        _judge_letters(dead, results, verdict)
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


def _judge_ledger(expected: Mapping[str, int], results: Results, verdict: Verdict) -> None:
    whole = results.ledger()[-1]
    found = {name: whole[name] for name in expected}
    verdict.is_balanced = bool(whole["balanced"]) and found == expected
    if not verdict.is_balanced:
        verdict.breaches.append(f"the ledger is {found}, and must be {expected}")


def _judge_letters(dead: int, results: Results, verdict: Verdict) -> None:
    found = len(results.letters())
    if found != dead:
        verdict.breaches.append(f"there are {found} dead letters, and must be {dead}")
