"""The job as a dataflow of Bytewax: lines are parsed batch by batch, then folded by key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import share
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

task = share.told()
parse = task.parse
tally = share.Tally()


def read(messages: list[Any]) -> Iterator[tuple[str, share.Group]]:
    """What is counted of a batch of lines, by the key of its group."""
    if not tally.first and messages:
        tally.first = time.time()
    for message in messages:
        row = parse(message.value)
        yield f"{row[0]} {row[1]} {row[2]}", row


def nothing() -> list[Any]:
    """The totals of a group before its first line."""
    return [None, 0, 0]


def fold(total: list[Any], row: share.Group) -> list[Any]:
    """The totals of a group with a line more."""
    total[0] = row[:3]
    total[1] += 1
    total[2] += row[3]
    return total


class Totals(StatelessSinkPartition[Any]):
    """Takes the totals of the groups of one worker."""

    def write_batch(self, items: list[Any]) -> None:
        """Called once the topic has ended."""
        tally.last = time.time()
        for _, (group, count, size) in items:
            tally.merge(group, count, size)


class Sink(DynamicSink[Any]):
    """Makes that of each worker."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Totals:
        """The part of one worker."""
        return Totals()


flow = Dataflow("bench")
source = KafkaSource([task.kafka], [task.topic], tail=False, batch_size=10_000)
rows = op.flat_map_batch("read", op.input("lines", flow, source), read)
op.output("totals", op.fold_final("fold", rows, nothing, fold), Sink())

if __name__ == "__main__":
    cli_main(flow, process_id=task.number, addresses=task.more["addresses"])
    tally.leave(task.folder, str(task.number))
