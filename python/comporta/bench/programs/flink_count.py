"""The job as a process function of Flink, with the totals in the memory of each of its processes."""

from __future__ import annotations

import sys
import time
from typing import Any

import share
from pyflink.common import Types, WatermarkStrategy
from pyflink.common.serialization import ByteArraySchema
from pyflink.datastream import ProcessFunction, RuntimeExecutionMode, StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource


class Count(ProcessFunction):
    """Counts lines, and leaves the totals when there are no more."""

    def __init__(self, argument: str) -> None:
        self.argument = argument

    def open(self, context: Any) -> None:
        task = share.Task(self.argument)
        self.folder, self.parse, self.tally = task.folder, task.parse, share.Tally()
        self.number = context.get_index_of_this_subtask()

    def process_element(self, line: bytes, context: Any) -> None:
        if not self.tally.first:
            self.tally.first = time.time()
        self.tally.add(*self.parse(line))

    def close(self) -> None:
        self.tally.last = time.time()
        self.tally.leave(self.folder, str(self.number))


def main() -> None:
    """Run the job until it has read what was in the topic when it began."""
    task = share.told()
    share.be_found_by_children()
    environment = StreamExecutionEnvironment.get_execution_environment()
    environment.set_runtime_mode(RuntimeExecutionMode.STREAMING)
    environment.set_parallelism(task.processes)
    environment.set_python_executable(sys.executable)
    environment.add_jars(*task.more["jars"])
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(task.kafka)
        .set_topics(task.topic)
        .set_group_id(task.group)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_bounded(KafkaOffsetsInitializer.latest())
        .set_value_only_deserializer(ByteArraySchema())
        .build()
    )
    lines = environment.from_source(
        source, WatermarkStrategy.no_watermarks(), "lines", Types.PRIMITIVE_ARRAY(Types.BYTE())
    )
    lines.process(Count(sys.argv[1]), Types.INT()).print()
    environment.execute("count")


if __name__ == "__main__":
    main()
