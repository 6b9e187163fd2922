"""What differs between a metric as it was found and as it must be, in few words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import eq
from typing import Any

from comporta.chaos.results import Group

NAMED = 3  # groups


def differences(
    metric: str,
    found: Mapping[Group, Any],
    expected: Mapping[Group, Any],
    is_right: Callable[[Any, Any], bool] = eq,
) -> Iterator[str]:
    """Nothing, or one text that counts the groups that are not right and names some of them.

    `is_right` is asked with what was found in a group, and what was expected there.
    """
    groups = [*expected, *(group for group in found if group not in expected)]
    wrong = {
        group: (found.get(group, "missing"), expected.get(group, "missing"))
        for group in groups
        if group not in found or group not in expected or not is_right(found[group], expected[group])
    }
    if wrong:
        named = [f"{group} is {is_}, and must be {must}" for group, (is_, must) in wrong.items()][:NAMED]
        more = ["..."] if len(wrong) > NAMED else []
        yield f"{metric} is wrong in {len(wrong):,} of {len(groups):,} groups: {'; '.join([*named, *more])}"
