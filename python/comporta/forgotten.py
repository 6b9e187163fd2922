"""Which rows have left memory: roughly, in little room, and never too few."""

from __future__ import annotations

import mmap
from collections.abc import Hashable, Iterable, Sequence

SIZE = 16 << 20  # bytes; of as many rows, one in eight of those that never left is taken for one that did


class Forgotten:
    """A set of rows, by place and key, that may take others for its own, and never one of its own for none.

    A row is a bit of a table, found by its hash.
    """

    def __init__(self) -> None:
        self._bits = mmap.mmap(-1, SIZE)  # pages that nobody has touched are no memory
        self._is_empty = True

    def add(self, place: Hashable, keys: Iterable[str]) -> None:
        """Add the rows of these keys."""
        self._is_empty = False
        bits, salt, most = self._bits, hash(place), SIZE * 8 - 1
        for key in keys:
            bit = (hash(key) ^ salt) & most
            bits[bit >> 3] |= 1 << (bit & 7)

    def among(self, place: Hashable, keys: Sequence[str]) -> Sequence[str]:
        """Those of the keys whose rows may be in the set."""
        if self._is_empty:
            return ()
        bits, salt, most = self._bits, hash(place), SIZE * 8 - 1
        return [key for key in keys if bits[(bit := (hash(key) ^ salt) & most) >> 3] >> (bit & 7) & 1]
