"""What was kept of counted rows, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from comporta.definition import Definition
from comporta.errors import UsageError
from comporta.sinks import Sink, current_generation

NAMED = 20  # partitions that an error names


class KeptRow(NamedTuple):
    """What is kept of a row, the one of that index of the record at `offset`; `shown` is the partition's."""

    partition: str
    shown: str
    offset: int
    row_index: int
    row: dict[str, Any]


def kept_rows(definition: Definition, sink: Sink, partition: str | None = None) -> Iterator[KeptRow]:
    """The rows that a pipeline has kept, as far as they have taken effect, by partition, offset and index.

    Only those of `partition`, if that is given: its name, or what is shown of it. Raises `UsageError` for a
    pipeline that keeps none and for a partition that is not there, `StoreError` for a pipeline that has never
    run.
    """
    if not definition.rows:
        raise UsageError(
            f'{definition.file} keeps no rows; name the fields to keep, such as rows=["time", "status"]'
        )
    generation = current_generation(sink, definition.name)
    shown = {known.partition: known.shown for known in sink.checkpoints(generation.id)}
    chosen = [name for name in shown if partition in (None, name, shown[name])]
    if partition is not None and not chosen:
        there = ", ".join(dict.fromkeys(list(shown.values())[:NAMED])) or "none yet"
        raise UsageError(f"there is no partition {partition!r}; there are {there}")
    found = sink.output_rows(generation.id, chosen)
    return (KeptRow(name, shown[name], offset, index, json.loads(row)) for name, offset, index, row in found)
