"""What `distinct`, `quantiles` and `top` may be off by, as their documentation states it.

Each function compares a metric with all the values that its groups have, and says what is wrong.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from comporta.chaos.differences import differences
from comporta.chaos.results import Group

# Beyond what is exact, nearly all values are within what is usual; more than the worst is out of all chance.
EXACT_DISTINCT, USUAL_DISTINCT, UNUSUAL_DISTINCT, WORST_DISTINCT = 256, 0.03, 1 / 20, 0.08
EXACT_QUANTILES, USUAL_RANK, UNUSUAL_RANK, WORST_RANK = 400, 0.007, 1 / 100, 0.015
EXACT_TOP, WORST_TOP = 3_072, 0.001


def distinct(metric: str, found: Mapping[Group, int], values: Mapping[Group, Sequence[Any]]) -> Iterator[str]:
    """Compare the numbers of different values."""
    errors = []

    def is_right(number: int, expected: int) -> bool:
        if expected <= EXACT_DISTINCT:
            return number == expected
        errors.append(abs(number / expected - 1))
        return errors[-1] <= WORST_DISTINCT

    expected = {group: len(set(each)) for group, each in values.items()}
    yield from differences(metric, found, expected, is_right)
    yield from _unusual(metric, errors, USUAL_DISTINCT, UNUSUAL_DISTINCT)


def quantiles(
    metric: str, found: Mapping[Group, Mapping[str, float]], values: Mapping[Group, Sequence[float]]
) -> Iterator[str]:
    """Compare by ranks: how many of all values are not above the one that is said to be a quantile."""
    errors = []

    def is_right(numbers: Mapping[str, float], expected: Sequence[float]) -> bool:
        count, worst = len(expected), 0.0
        for text, number in numbers.items():
            below, upto = bisect_left(expected, number) / count, bisect_right(expected, number) / count
            off = max(below - float(text), float(text) - upto)
            if count > EXACT_QUANTILES:
                errors.append(off)
                worst = max(worst, off - WORST_RANK)
            elif number != expected[max(0, math.ceil(float(text) * count) - 1)]:
                return False
        return worst <= 0.0

    yield from differences(metric, found, {group: sorted(each) for group, each in values.items()}, is_right)
    yield from _unusual(metric, errors, USUAL_RANK, UNUSUAL_RANK)


def top(
    metric: str,
    found: Mapping[Group, Sequence[Mapping[str, Any]]],
    values: Mapping[Group, Sequence[Any]],
    k: int,
) -> Iterator[str]:
    """Compare the bounds of those that are named, and whether one is missing."""

    def is_right(items: Sequence[Mapping[str, Any]], expected: Counter[Any]) -> bool:
        error = 0.0 if len(expected) <= EXACT_TOP else WORST_TOP * expected.total()
        for item in items:
            lower, upper = item["lower"], item["upper"]
            if not lower <= expected[item["item"]] <= upper <= lower + error:
                return False
        estimates = [item["estimate"] for item in items]
        least = max(error, estimates[-1]) if len(items) == k else error
        named = {item["item"] for item in items}
        return (
            len(named) == len(items) <= k
            and estimates == sorted(estimates, reverse=True)
            and all(count <= least for value, count in expected.items() if value not in named)
        )

    yield from differences(metric, found, {group: Counter(each) for group, each in values.items()}, is_right)


def _unusual(metric: str, errors: Sequence[float], usual: float, share: float) -> Iterator[str]:
    """What there is to say if more than that share of errors is not as usual, by more than chance does."""
    count = sum(error > usual for error in errors)
    most = share * len(errors) + 5 * math.sqrt(5 * share * len(errors)) + 1
    if count > most:
        yield f"{metric} is off by more than {usual:.1%} in {count:,} of {len(errors):,} cases"
