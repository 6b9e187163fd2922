"""The job as an agent of Faust, with the totals in the memory of each process."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import faust
import share

task = share.told()
parse = task.parse
tally = share.Tally()
app = faust.App(
    task.group,
    broker=f"kafka://{task.kafka}",
    value_serializer="raw",
    key_serializer="raw",
    consumer_auto_offset_reset="earliest",
    consumer_max_fetch_size=4 << 20,
    topic_partitions=task.partitions,
    topic_disable_leader=True,
    topic_allow_declare=False,
    stream_buffer_maxsize=16_384,
    web_enabled=False,
    datadir=str(task.folder / f"state-{task.number}"),
)
topic = app.topic(task.topic, value_type=bytes, value_serializer="raw", internal=False)


@app.agent(topic)
async def count(lines: Any) -> None:
    """Count all lines."""
    async for batch in lines.take(1000, within=0.1):
        if not tally.first:
            tally.first = time.time()
        rows = [parse(line) for line in batch]
        tally.last = time.time()
        for row in rows:
            tally.add(*row)


def end() -> None:
    """Leave the totals, and have the worker stop."""
    tally.leave(task.folder, str(task.number))
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    share.meet(task)
    share.watch(task, tally, end)
    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    app.main()
