"""Rows: what a transform made of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from comporta.records import Failure


@dataclass
class Rows:
    """What a transform made of a batch: rows as columns, and failures by the index of the record.

    `records` has the index of the record that each row came from, `columns` the fields asked for. `names` are
    fields that rows have. Where `nan_is_null`, a NaN is a gap in a column, as it is in pandas.
    """

    records: list[int]
    columns: dict[str, list[Any]]
    names: list[str]
    nan_is_null: bool = False
    failures: dict[int, Failure] = field(default_factory=dict)
