"""Columns of records as Arrow lays them out in memory, for which pyarrow need not be there."""

from __future__ import annotations

from typing import NamedTuple

Fixed = tuple[int, "bytes | None", bytes]
"""How many are null; and Arrow's buffers: validity, if any is, and numbers, or where lists end."""

Binary = tuple[int, "bytes | None", bytes, bytes]
"""How many are null; and Arrow's buffers: validity, if any is, where each ends, and bytes."""


class Buffers(NamedTuple):
    """Columns as Arrow lays them out in memory: `headers` are lists of the names and values that follow."""

    value: Binary
    key: Binary
    timestamp: Fixed
    offset: Fixed
    headers: Fixed
    header_count: int
    header_names: Binary
    header_values: Binary
