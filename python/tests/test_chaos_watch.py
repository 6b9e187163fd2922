"""How long nothing became durable, as samples show it."""

from __future__ import annotations

import pytest

from comporta.chaos.watch import Sample, longest_stop


def test_the_longest_time_without_progress_counts() -> None:
    samples = [Sample(at / 10, at, durable) for at, durable in enumerate([1, 2, 3, 3, 3, None, 4, 5, 5, 6])]
    assert longest_stop(samples, 0.15, 0.75) == pytest.approx(0.4)
    assert longest_stop(samples, 0.65, 0.95) == pytest.approx(0.2)


def test_what_was_durable_before_is_no_progress() -> None:
    samples = [Sample(0.1, 5, 5), Sample(0.2, 5, None), Sample(0.3, 5, 5), Sample(0.4, 9, 5)]
    assert longest_stop(samples, 0.15, 0.5) == pytest.approx(0.35)
