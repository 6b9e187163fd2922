"""Groups: rows that are alike, such as those with the same key, or in the same bucket of time.

Whatever is done to rows is done to arrays of their groups, and only once to what a group has in common: there
are fewer groups than rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy
from numpy.typing import NDArray

Indexes = NDArray[numpy.intp]

LONGEST_KEY = 32 * 1024
"""Bytes that a key may have."""

DENSE = 8
"""For so many numbers a row, a table is faster than sorting."""


@dataclass(frozen=True)
class Grouping:
    """Rows by group: `indexes` has each row's group, an index into `identities`, which tell groups apart."""

    indexes: Indexes
    identities: list[Any]

    def select(self, rows: Indexes) -> Grouping:
        """The grouping of these rows alone, without the groups that have none of them."""
        indexes, present = _renumbered(self.indexes[rows], len(self.identities))
        if len(present) == len(self.identities):
            return Grouping(indexes, self.identities)
        return Grouping(indexes, [self.identities[group] for group in present.tolist()])

    def renamed(self, identities: Sequence[Any]) -> Grouping:
        """The grouping by other identities, one for each; groups that get the same one become one."""
        names = number(identities)
        if len(names.identities) == len(identities):
            return Grouping(self.indexes, names.identities)
        return Grouping(names.indexes[self.indexes], names.identities)

    def pairs(self, other: Grouping) -> Grouping:
        """The same rows by their groups in both: the identities are pairs of these."""
        indexes, ours, theirs = self.crossed(other)
        return Grouping(indexes, list(zip(ours.tolist(), theirs.tolist(), strict=True)))

    def crossed(self, other: Grouping) -> tuple[Indexes, Indexes, Indexes]:
        """The same as arrays: each row's pair; and of each pair, in order, our group and the other's."""
        width = max(1, len(other.identities))
        indexes, present = _renumbered(self.indexes * width + other.indexes, len(self.identities) * width)
        return indexes, present // width, present % width

    def values(self) -> list[Any]:
        """What each row is identified by."""
        return list(map(self.identities.__getitem__, self.indexes.tolist()))

    def sizes(self) -> list[int]:
        """How many rows each group has."""
        found: list[int] = numpy.bincount(self.indexes, minlength=len(self.identities)).tolist()
        return found

    def split(self, values: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """The values, of the rows in order, of each group."""
        order = numpy.argsort(self.indexes, kind="stable")
        ends = numpy.cumsum(self.sizes())
        return iter(numpy.split(values[order], ends)[:-1])


def number(values: Sequence[Hashable]) -> Grouping:
    """Group what is equal; groups are numbered in the order in which they appear."""
    numbers: defaultdict[Any, int] = defaultdict(count().__next__)
    indexes = numpy.fromiter(map(numbers.__getitem__, values), numpy.intp, len(values))
    return Grouping(indexes, list(numbers))


def number_integers(values: NDArray[numpy.int64]) -> Grouping:
    """Group equal integers; groups are numbered from the least."""
    if not len(values):
        return Grouping(numpy.zeros(0, numpy.intp), [])
    least, greatest = int(values.min()), int(values.max())
    if greatest - least > DENSE * len(values):
        present, indexes = numpy.unique(values, return_inverse=True)
        return Grouping(indexes, present.tolist())
    indexes, present = _renumbered((values - least).astype(numpy.intp), greatest - least + 1)
    return Grouping(indexes, (present + least).tolist())


def keyed(columns: Sequence[Grouping], rows: int) -> Grouping:
    """So many rows by their key: the JSON text of the list of what they are in each column, JSON texts."""
    if not columns:
        return Grouping(numpy.zeros(rows, numpy.intp), ["[]"] if rows else [])
    first, *others = columns
    found = Grouping(first.indexes, [f"[{text}" for text in first.identities])
    for other in others:
        indexes, ours, theirs = found.crossed(other)
        begun, texts = found.identities, other.identities
        pairs = zip(ours.tolist(), theirs.tolist(), strict=True)
        found = Grouping(indexes, [f"{begun[one]},{texts[two]}" for one, two in pairs])
    return Grouping(found.indexes, [f"{text}]" for text in found.identities])


def too_long(keys: Sequence[str]) -> dict[int, str]:
    """Which keys are, and why."""
    if not keys or max(map(len, keys)) * 4 <= LONGEST_KEY:
        return {}
    why = f"the values that a row is grouped by take more than {LONGEST_KEY:,} bytes; shorten them"
    return {number: why for number, key in enumerate(keys) if len(key.encode()) > LONGEST_KEY}


def _renumbered(numbers: Indexes, end: int) -> tuple[Indexes, Indexes]:
    """Numbers in [0, end) as indexes into those that occur, and those."""
    if end > DENSE * len(numbers) + 1024:
        present, indexes = numpy.unique(numbers, return_inverse=True)
        return indexes, present
    occurs = numpy.zeros(end, numpy.bool_)
    occurs[numbers] = True
    present = numpy.flatnonzero(occurs)
    if len(present) == end:
        return numbers, present
    table = numpy.empty(end, numpy.intp)
    table[present] = numpy.arange(len(present))
    return table[numbers], present
