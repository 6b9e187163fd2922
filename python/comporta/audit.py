"""Whether every record that was consumed ended somewhere, by partition and as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from comporta.sinks import Checkpoint, Ledger, Sink, current_generation
from comporta.sinks.contract import REPLAY

Recount = Callable[[Sequence[Checkpoint]], Mapping[str, int]]
"""Counts the records between each checkpoint's `start` and `upto` again, as far as they are still there."""

Line = dict[str, Any]


def audit(sink: Sink, pipeline: str, recount: Recount | None = None) -> list[Line]:
    """A line for each partition, and a last one, whose partition is None, for the whole.

    A line has `partition` (as it is shown), the parts of the ledger, `in_flight` (nothing: what has not taken
    effect is not in a checkpoint) and `balanced`; with `recount` also `recounted`, None where the source no
    longer has the records. Raises `StoreError` if the pipeline has never run.
    """
    checkpoints = sink.checkpoints(current_generation(sink, pipeline).id)
    counts = recount(checkpoints) if recount else {}
    lines = [_line(known.shown, known.ledger, counts.get(known.partition)) for known in checkpoints]
    source = [known.partition for known in checkpoints if known.partition != REPLAY]
    held = [counts[partition] for partition in source if partition in counts]
    lines.append(_line(None, whole(checkpoints), sum(held) if len(held) == len(source) else None))
    if recount is None:
        for line in lines:
            del line["recounted"]
    return lines


def whole(checkpoints: Iterable[Checkpoint]) -> Ledger:
    """The ledger of all: a record is consumed once in it, and a replayed letter stands where it ended."""
    total = replayed = Ledger()
    for checkpoint in checkpoints:
        total += checkpoint.ledger
        if checkpoint.partition == REPLAY:
            replayed = checkpoint.ledger
    return replace(total, consumed=total.consumed - replayed.consumed, dead=total.dead - replayed.consumed)


def _line(shown: str | None, ledger: Ledger, recounted: int | None) -> Line:
    ended = ledger.counted + ledger.dropped + ledger.duplicates + ledger.dead
    return {
        "partition": shown,
        "consumed": ledger.consumed,
        "counted": ledger.counted,
        "dropped": ledger.dropped,
        "duplicates": ledger.duplicates,
        "dead": ledger.dead,
        "in_flight": 0,
        "balanced": ended == ledger.consumed and recounted in (None, ledger.consumed),
        "recounted": recounted,
    }
