"""Kafka Streams: a stream thread for each core, each line handed to a processor that keeps totals.

The documentation's way to use more cores in one instance is `num.stream.threads` ("Threading model"). A fetch
waits for 100,000 bytes (`fetch.min.bytes`), as Confluent's "Optimize clients for throughput" advises for
consumers, and a poll may bring 10,000 records. Each task keeps its totals in a map of its own, through the
Processor API: to group by key would send every line through Kafka again.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers

VERSION = "4.3.1"


class KafkaStreams(peers.JavaPeer):
    """`programs/Streams.java`."""

    name: ClassVar[str] = "kafka-streams"
    title: ClassVar[str] = f"Kafka Streams {VERSION}, a thread for each core"
    program: ClassVar[str] = "Streams"
    folder: ClassVar[str] = f"kafka-streams-{VERSION}"
    jars: ClassVar[tuple[str, ...]] = (
        f"org.apache.kafka:kafka-streams:{VERSION}",
        "org.slf4j:slf4j-nop:1.7.36",
    )
