"""What tests of sinks, letters and queries write: generations, checkpoints' steps, letters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from comporta.definition import Definition
from comporta.generations import Generation
from comporta.letters import LetterId
from comporta.metrics.contract import MetricDefinition
from comporta.payloads import AssignedPartition, Columns, Letter, OutputRows, by_bucket, pack
from comporta.sinks import Checkpoint, Ledger, Snapshot
from comporta.sinks.contract import Cell

flushes = itertools.count(1)


def metric(name: str, kind: str = "count", **options: Any) -> MetricDefinition:
    """A metric's definition."""
    whole: MetricDefinition = {"name": name, "kind": kind, "of": None, "by": [], "every": None, "k": None}
    return {**whole, **options}  # type: ignore[typeddict-item]


def definition(*metrics: MetricDefinition, name: str = "access-log", rows: Sequence[str] = ()) -> Definition:
    """A pipeline's definition."""
    return Definition(
        name=name,
        file="access.py",
        time_format=None,
        dedup={"field": "id", "within": 3600},
        ordered_by=None,
        late=None,
        retention=None,
        metrics=list(metrics) or [metric("requests", by=["status"], every=60)],
        rows=list(rows),
    )


def generation(*metrics: MetricDefinition, name: str = "access-log", start: str | None = None) -> Generation:
    """A new generation of a pipeline."""
    return Generation(name, definition(*metrics, name=name), start=start)


def assigned(
    partition: str, start: int = 0, shown: str = "/var/log/a", meta: bytes = b"m"
) -> AssignedPartition:
    """A partition as a source announces it."""
    return AssignedPartition(partition=partition, shown=shown, start=start, meta=meta)


def letter(offset: int, *, partition: str = "file-1", attempt: int = 0, **parts: Any) -> Letter:
    """A dead letter."""
    whole: Letter = {
        "partition": partition,
        "shown": "/var/log/a",
        "offset": offset,
        "next": offset + 10,
        "attempt": attempt,
        "reason": "exception",
        "error": "ValueError: no",
        "traceback": "Traceback ...",
        "value": b"a\xff line",
        "length": len(b"a\xff line"),
        "key": None,
        "headers": [],
        "timestamp": None,
        "at": 1_700_000_000_000,
        "code": "c0de",
    }
    return {**whole, **parts}  # type: ignore[typeddict-item]


def step(
    before: Checkpoint,
    upto: int,
    rows: Mapping[str, Mapping[Cell, Any]] | None = None,
    *,
    letters: Sequence[Letter] = (),
    replayed: Sequence[LetterId] = (),
    ledger: Ledger | None = None,
    output: Sequence[bytes] = (),
) -> Snapshot:
    """A flush from `before` to `upto`, in which `ledger` more records ended."""
    after = replace(
        before,
        upto=upto,
        flush=f"flush-{next(flushes)}",
        mark=b"mark-%d" % upto,
        ledger=before.ledger + (ledger or Ledger(consumed=1, counted=1)),
    )
    by_bucket = {metric: nested(cells) for metric, cells in (rows or {}).items()}
    return Snapshot(before, after, by_bucket, letters, frozenset(replayed), output)


def nested(cells: Mapping[Cell, Any]) -> dict[int, dict[str, Any]]:
    """What cells have, by bucket and key."""
    found: dict[int, dict[str, Any]] = {}
    for (bucket, key), state in cells.items():
        found.setdefault(bucket, {})[key] = state
    return found


def columns(cells: Iterable[Cell], deltas: Iterable[Any]) -> Columns:
    """Deltas of cells, in any order, as a worker says them."""
    pairs = sorted(zip(cells, deltas, strict=True), key=lambda pair: pair[0][0])
    buckets = Counter(bucket for (bucket, _), _ in pairs)
    return Columns(
        buckets=list(buckets.items()),
        keys=[key for (_, key), _ in pairs],
        deltas=[delta for _, delta in pairs],
    )


def cells_of(columns: Columns) -> list[Cell]:
    """The cells of what a worker says."""
    return [(bucket, key) for bucket, keys, _ in by_bucket(columns) for key in keys]


def output(
    rows: Mapping[tuple[int, int], str], *, partition: str = "file-1", times: Sequence[int] | None = None
) -> bytes:
    """Output rows by offset and index, as a worker says them."""
    columns = OutputRows(
        partition=partition,
        offsets=[offset for offset, _ in rows],
        indexes=[index for _, index in rows],
        times=None if times is None else list(times),
        rows=list(rows.values()),
    )
    return pack(columns)
