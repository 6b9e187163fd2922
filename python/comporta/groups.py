"""Groups: rows that have the same key, and the same bucket of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

LONGEST_KEY = 32 * 1024
"""Bytes that a key may have."""


@dataclass(frozen=True)
class Grouping:
    """Rows by group: `indexes` has each row's group, an index into `identities`, which tell groups apart."""

    indexes: list[int]
    identities: list[Any]

    def select(self, rows: Iterable[int]) -> Grouping:
        """The grouping of these rows alone, without the groups that have none of them."""
        chosen = number(map(self.indexes.__getitem__, rows))
        return Grouping(chosen.indexes, [self.identities[group] for group in chosen.identities])


def number(identities: Iterable[Any]) -> Grouping:
    """Group what is equal; groups are numbered in the order in which they appear."""
    numbers: defaultdict[Any, int] = defaultdict(count().__next__)
    return Grouping(list(map(numbers.__getitem__, identities)), list(numbers))


def key_text(texts: Iterable[str]) -> str:
    """The key of a group: the JSON text of the list of its `by` values. Raises `ValueError` if too long."""
    key = f"[{','.join(texts)}]"
    if len(key) * 4 > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
        raise ValueError(
            f"the values that a row is grouped by take more than {LONGEST_KEY:,} bytes; shorten them"
        )
    return key
