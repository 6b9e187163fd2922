"""The job as a streaming data frame of Quix Streams, with the totals in the memory of each process."""

from __future__ import annotations

import time

import share
from quixstreams import Application

task = share.told()
parse = task.parse
tally = share.Tally()


def count(row: share.Group) -> None:
    """Count one line."""
    tally.last = time.time()
    tally.add(*row)


def read(line: bytes) -> share.Group:
    """What is counted of a line."""
    if not tally.first:
        tally.first = time.time()
    return parse(line)


if __name__ == "__main__":
    share.meet(task)
    app = Application(
        task.kafka,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        consumer_extra_config={"fetch.min.bytes": 100_000},
        state_dir=task.folder / f"state-{task.number}",
        loglevel="ERROR",
    )
    frame = app.dataframe(app.topic(task.topic, key_deserializer="bytes", value_deserializer="bytes"))
    frame.apply(read).update(count)
    share.watch(task, tally, app.stop)
    app.run()
    tally.leave(task.folder, str(task.number))
