"""Rows: what a transform made of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from comporta.records import Failure

if TYPE_CHECKING:
    from comporta.columns import Column
    from comporta.groups import Indexes


@dataclass
class Rows:
    """What a transform made of a batch: rows as columns, and failures by the index of the record.

    `records` has the index of the record that each row came from, `columns` the fields asked for. `names` are
    fields that rows have.
    """

    records: Indexes
    columns: dict[str, Column]
    names: list[str]
    failures: dict[int, Failure] = field(default_factory=dict)
