from __future__ import annotations

import pytest

from comporta.profile import STEPS, Profile

SUMS = {key: 0 for key in STEPS if key != "idle_us"} | {
    "fetch_us": 500_000,
    "transform_us": 1_200_000,
    "sum_us": 300_000,
    "flush_us": 100_000,
    "wait_us": 30_000,
    "elapsed_us": 1_000_000,
    "begun": 4,
}


def test_the_workers_time_is_shared_out_and_what_is_left_is_idle() -> None:
    steps = {step.step: step for step in Profile(SUMS, workers=2, consumed=100_000).steps()}
    shares = {name: step.share for name, step in steps.items()}
    assert shares == {
        "fetch": 0.5,
        "decode": 0,
        "transform": 0.6,
        "claim": 0,
        "sum up": 0.15,
        "idle": 0.25,
        "fold": 0,
        "flush": 0.1,
    }
    assert steps["transform"].seconds == 1.2
    assert steps["transform"].us_a_record == 12


def test_it_is_said_in_a_line_in_lines_and_in_json() -> None:
    profile = Profile(SUMS, workers=2, consumed=100_000)
    assert profile.brief() == "workers: transform 60%, sum up 15%, idle 25%"
    head, *lines = profile.lines()
    assert "1.0 s" in head
    assert "7.5 ms" in head
    assert len(lines) == len(STEPS)
    assert profile.summary()["batch_waited_ms"] == 7.5
    assert [step["step"] for step in profile.summary()["steps"]][:2] == ["fetch", "decode"]


@pytest.mark.parametrize("sums", [dict.fromkeys(SUMS, 0), SUMS | {"transform_us": 3_000_000}])
def test_nothing_yet_and_more_than_there_was_are_no_mistake(sums: dict[str, int]) -> None:
    profile = Profile(sums, workers=2, consumed=0)
    assert profile.lines()
    assert [step.seconds for step in profile.steps() if step.step == "idle"] == [0]
