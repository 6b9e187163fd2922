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
        width = max(1, len(other.identities))
        indexes, present = _renumbered(self.indexes * width + other.indexes, len(self.identities) * width)
        return Grouping(
            indexes, list(zip((present // width).tolist(), (present % width).tolist(), strict=True))
        )

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


def crossed(groupings: Sequence[Grouping], rows: int) -> Grouping:
    """So many rows by what they are in several groupings: the identities are tuples."""
    if not groupings:
        return Grouping(numpy.zeros(rows, numpy.intp), [()] if rows else [])
    first, *others = groupings
    found = Grouping(first.indexes, [(identity,) for identity in first.identities])
    for other in others:
        pairs = found.pairs(other)
        identities = [(*found.identities[one], other.identities[two]) for one, two in pairs.identities]
        found = Grouping(pairs.indexes, identities)
    return found


def key_text(texts: Sequence[str]) -> str:
    """The key of a group: the JSON text of the list of its `by` values. Raises `ValueError` if too long."""
    key = f"[{','.join(texts)}]"
    if len(key) * 4 > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
        raise ValueError(
            f"the values that a row is grouped by take more than {LONGEST_KEY:,} bytes; shorten them"
        )
    return key


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
