"""Slices that follow one another, as one batch.

How many records a batch is to have is known when it is asked for. What waits by then was cut when it was
fetched: at the beginning of a run, into far smaller ones.
"""

from __future__ import annotations

import dataclasses
from collections import deque

from comporta.sources.contract import Batch, Limits


def take_joined(queue: deque[Batch], limits: Limits) -> tuple[Batch, int]:
    """Take the first batch of a partition, with those that follow as long as they fit; and how many they are.

    One that is larger than a batch is to be is taken alone, and so is one that is not of slices.
    """
    first = queue.popleft()
    parts, size, count = [first], len(first.payload), first.count
    while queue and _is_slice(first) and _is_slice(queue[0]):
        size += len(queue[0].payload)
        count += queue[0].count
        if size > limits.batch_bytes or count > limits.batch_records:
            break
        parts.append(queue.popleft())
    return _joined(parts), len(parts)


def _is_slice(batch: Batch) -> bool:
    return batch.format == "kafka" and not batch.lost


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return dataclasses.replace(
        parts[0],
        base=next((part.base for part in parts if part.payload), parts[0].base),
        next=parts[-1].next,
        count=sum(part.count for part in parts),
        payload=b"".join(part.payload for part in parts),
    )
