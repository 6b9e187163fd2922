"""Counting again, for an audit, the records that a source still holds of what was consumed."""

from __future__ import annotations

from collections.abc import Sequence

from comporta.connection import MAX_FRAME
from comporta.errors import UsageError
from comporta.payloads import Known, KnownPartition
from comporta.sinks import Checkpoint
from comporta.sources import SourceBatch, open_source

BATCH = 1 << 20  # bytes


def recount(source: str, checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
    """Records from each checkpoint's `start` up to its `upto`, by partition, without those that are gone.

    Raises `UsageError` for a source that cannot be read twice, `SourceError` for one that is not there.
    """
    if source == "-":
        raise UsageError("standard input cannot be counted again: leave --source out")
    wanted = {checkpoint.partition: checkpoint for checkpoint in checkpoints}
    known = Known(generation="", started=True, start=None, partitions=[_known(each) for each in checkpoints])
    opened = open_source(source, known, "earliest", until_end=True, size=BATCH, longest=MAX_FRAME)
    counts: dict[str, int] = {}
    for found in opened.discover():
        checkpoint = wanted.get(found["partition"])
        if checkpoint:
            counts[checkpoint.partition] = 0
            opened.seek(checkpoint.partition, 0, checkpoint.start)
    while batch := opened.read():
        counts[batch.partition] += _records_before(wanted[batch.partition].upto, batch)
    return counts


def _known(checkpoint: Checkpoint) -> KnownPartition:
    return KnownPartition(
        partition=checkpoint.partition,
        shown=checkpoint.shown,
        upto=checkpoint.upto,
        mark=checkpoint.mark,
        meta=checkpoint.meta,
    )


def _records_before(upto: int, batch: SourceBatch) -> int:
    if batch.next <= upto:
        return batch.count
    if batch.format == "oversized":
        return int(batch.first < upto)
    lines = batch.payload[: max(0, upto - batch.first)]
    return lines.count(b"\n") + (not lines.endswith(b"\n") and lines != b"")
