"""Differences are counted, and some of them named."""

from __future__ import annotations

from comporta.chaos.differences import differences


def test_what_is_equal_does_not_differ() -> None:
    assert list(differences("n", {(1,): 5}, {(1,): 5})) == []
    assert list(differences("n", {(1,): 5.5}, {(1,): 5}, lambda found, expected: found - expected < 1)) == []


def test_missing_superfluous_and_wrong_groups_are_named() -> None:
    [words] = differences("n", {("b",): 2, ("c",): 3}, {("a",): 1, ("b",): 5})
    assert words == (
        "n is wrong in 3 of 3 groups: ('a',) is missing, and must be 1; ('b',) is 2, and must be 5;"
        " ('c',) is 3, and must be missing"
    )


def test_of_many_only_some_are_named() -> None:
    [words] = differences("n", {}, {(number,): 1 for number in range(1000)})
    assert words.startswith("n is wrong in 1,000 of 1,000 groups: (0,)")
    assert len(words) < 200
