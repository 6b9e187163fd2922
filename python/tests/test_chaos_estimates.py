"""Estimates pass as far as their documentation lets them be off, and no further."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from comporta.chaos import estimates

GROUPS = [(number,) for number in range(100)]


@pytest.mark.parametrize(
    ("count", "found", "is_right"),
    [
        (256, 256, True),
        (256, 257, False),  # small sets are exact
        (1000, 1029, True),
        (1000, 1081, False),
    ],
)
def test_distinct(count: int, found: int, is_right: bool) -> None:
    values = {(): [*range(count), *range(count)]}
    assert bool(list(estimates.distinct("n", {(): found}, values))) is not is_right


@pytest.mark.parametrize(("off", "is_right"), [(5, True), (45, False)])
def test_distinct_is_seldom_far_off(off: int, is_right: bool) -> None:
    """Each of these is possible; that so many are is not."""
    values = dict.fromkeys(GROUPS, range(1000))
    found = {group: 1050 if group[0] < off else 1010 for group in GROUPS}
    assert bool(list(estimates.distinct("n", found, values))) is not is_right


@pytest.mark.parametrize(
    ("count", "found", "is_right"),
    [
        (400, 359.0, True),
        (400, 360.0, False),  # few are exact
        (10_000, 8999.0, True),
        (10_000, 9065.0, True),
        (10_000, 8800.0, False),
        (10_000, 9200.0, False),
    ],
)
def test_quantiles(count: int, found: float, is_right: bool) -> None:
    values = {(): list(map(float, range(count)))[::-1]}
    assert bool(list(estimates.quantiles("n", {(): {"0.9": found}}, values))) is not is_right


def test_quantiles_are_seldom_far_off() -> None:
    values = dict.fromkeys(GROUPS, range(10_000))
    found = {group: {"0.5": 5100.0} for group in GROUPS}
    [words] = estimates.quantiles("n", found, values)
    assert words == "n is off by more than 0.7% in 100 of 100 cases"


def items(*found: tuple[Any, int, int]) -> list[dict[str, Any]]:
    return [{"item": item, "estimate": upper, "lower": lower, "upper": upper} for item, lower, upper in found]


@pytest.mark.parametrize(
    ("found", "is_right"),
    [
        (items(("a", 5, 5), ("b", 3, 3)), True),
        (items(("a", 5, 5), ("c", 3, 3)), True),  # of those that came as often, either
        (items(("b", 3, 3), ("c", 3, 3)), False),
        (items(("b", 3, 3), ("a", 5, 5)), False),
        (items(("a", 4, 5), ("b", 3, 3)), False),  # few are exact
        (items(("a", 5, 5)), False),
        (items(("a", 5, 5), ("a", 5, 5)), False),
        (items(("a", 5, 5), ("b", 3, 3), ("c", 3, 3)), False),
        (items(("a", 5, 5), ("x", 3, 3)), False),
    ],
)
def test_top_of_few(found: list[dict[str, Any]], is_right: bool) -> None:
    values = {(): list(Counter(a=5, b=3, c=3, d=1).elements())}
    assert bool(list(estimates.top("n", {(): found}, values, k=2))) is not is_right


@pytest.mark.parametrize(
    ("found", "is_right"),
    [
        (items((0, 30, 34), (1, 28, 31)), True),
        (items((0, 30, 34)), False),
        (items((0, 31, 34), (1, 28, 31)), False),
        (items((0, 30, 36), (1, 28, 31)), False),
    ],
)
def test_top_of_many(found: list[dict[str, Any]], is_right: bool) -> None:
    values = {(): [*[0] * 30, *[1] * 30, *range(2, 5000)]}
    assert bool(list(estimates.top("n", {(): found}, values, k=3))) is not is_right
