from __future__ import annotations

import pytest
from exactly_once_model import BUGS, run

SCHEDULES = 3000


def test_the_protocol_loses_and_doubles_nothing() -> None:
    assert {seed: outcome for seed in range(SCHEDULES) if (outcome := run(seed)) != (0, 0)} == {}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_mistake_is_found(bug: str) -> None:
    assert any(run(seed, bug) != (0, 0) for seed in range(SCHEDULES)), BUGS[bug]


def test_claims_that_are_lost_let_duplicates_through_and_lose_few_records() -> None:
    """What losing Redis costs is a stated limit; a change that makes it worse should be noticed."""
    outcomes = [run(seed, lose_claims=True) for seed in range(SCHEDULES)]
    assert any(doubled for _, doubled in outcomes)
    assert sum(lost > 0 for lost, _ in outcomes) < 0.04 * SCHEDULES
