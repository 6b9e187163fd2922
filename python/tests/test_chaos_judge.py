"""The judge finds what a pipeline gets wrong, and nothing where it is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import pytest

from comporta.chaos.judge import judge
from comporta.chaos.results import CommandFailed, Results
from comporta.chaos.workloads.counting import Counting

NUMBERS = list(range(2500))


class Answers:
    """What a pipeline would say that has counted these numbers."""

    def __init__(self, numbers: list[int], **ledger: int) -> None:
        workload = Counting()
        parsed = [list(map(int, workload.event(number).value.split())) for number in numbers]
        self.metrics: dict[str, Any] = {
            "events": Counter((number % 1000,) for number in numbers),
            "requests": Counter((status,) for _, status, _ in parsed),
            "bytes": Counter(),
            "hash": {(): sum(workload.hash(number) for number in numbers)},
        }
        for _, status, size in parsed:
            self.metrics["bytes"][status,] += size
        zero = dict.fromkeys(("dropped", "duplicates", "dead", "in_flight"), 0)
        self.whole = {"balanced": True, "consumed": len(numbers), "counted": len(numbers)} | zero | ledger
        self.dead: list[dict[str, Any]] = []

    def values(self, metric: str) -> dict[tuple[Any, ...], Any]:
        return dict(self.metrics[metric])

    def ledger(self) -> list[dict[str, Any]]:
        return [self.whole]

    def letters(self) -> list[dict[str, Any]]:
        return self.dead


def found(answers: Answers, poisoned: list[str] | None = None) -> Any:
    return judge(Counting(), NUMBERS, poisoned or [], cast(Results, answers))


class OnceEach(Counting):
    """Events that are sent twice, and count once."""

    def counted(self, acknowledged: Sequence[int]) -> Sequence[int]:
        return sorted(set(acknowledged))


def found_of_duplicates(answers: Answers, *, lost_claims: bool) -> Any:
    return judge(OnceEach(), [*NUMBERS, 1, 2, 3], [], cast(Results, answers), lost_claims=lost_claims)


def test_all_is_right() -> None:
    verdict = found(Answers(NUMBERS))
    assert (verdict.lost, verdict.doubled, verdict.breaches) == (0, 0, [])
    assert verdict.is_conserved


def test_one_lost_is_not_made_up_for_by_another_counted_twice() -> None:
    verdict = found(Answers([*NUMBERS[1:], 5]))
    assert (verdict.lost, verdict.doubled) == (1, 1)
    assert not verdict.is_conserved


def test_a_payload_that_was_changed_is_seen_by_its_hash() -> None:
    answers = Answers(NUMBERS)
    answers.metrics["hash"][()] += 1
    verdict = found(answers)
    assert verdict.is_conserved
    assert [words.partition(" ")[0] for words in verdict.breaches] == ["hash"]


def test_a_ledger_that_balances_on_wrong_numbers_does_not_hold() -> None:
    answers = Answers(NUMBERS, consumed=len(NUMBERS) + 1, dropped=1)
    assert not found(answers).is_conserved


@pytest.mark.parametrize(("kind", "dead"), [("segfault", 1), ("fork", 0)])
def test_poison_ends_as_it_must(kind: str, dead: int) -> None:
    right = Answers(NUMBERS, consumed=len(NUMBERS) + 1, dropped=1 - dead, dead=dead)
    right.dead = [{}] * dead
    assert found(right, [kind]).is_conserved
    wrong = Answers(NUMBERS, consumed=len(NUMBERS) + 1, dropped=dead, dead=1 - dead)
    wrong.dead = [{}] * (1 - dead)
    assert not found(wrong, [kind]).is_conserved
    assert found(wrong, [kind]).breaches


def test_duplicates_may_pass_where_claims_were_lost() -> None:
    sent = len(NUMBERS) + 3
    passed = Answers([*NUMBERS, 2], consumed=sent, duplicates=2)
    assert found_of_duplicates(passed, lost_claims=True).is_conserved
    assert found_of_duplicates(passed, lost_claims=True).passed == 1
    assert found_of_duplicates(passed, lost_claims=False).doubled == 1


def test_no_more_may_pass_than_were_sent_twice() -> None:
    sent = len(NUMBERS) + 3
    too_many = Answers([*NUMBERS, 1, 2, 3, 4], consumed=sent, duplicates=0)
    assert found_of_duplicates(too_many, lost_claims=True).doubled == 4


def test_nothing_may_be_lost_with_claims() -> None:
    sent = len(NUMBERS) + 3
    lost = found_of_duplicates(Answers(NUMBERS[1:], consumed=sent, duplicates=4), lost_claims=True)
    assert (lost.lost, lost.is_conserved) == (1, False)


def test_a_command_that_fails_is_a_breach() -> None:
    answers = Answers(NUMBERS)

    def fail() -> list[dict[str, Any]]:
        raise CommandFailed("comporta dead ended with 1")

    answers.letters = fail  # type: ignore[method-assign]
    assert found(answers).breaches == ["comporta dead ended with 1"]
