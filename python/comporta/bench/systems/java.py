"""Plain Java: a thread with a `KafkaConsumer` and a map for each core.

A fetch waits for 100,000 bytes (`fetch.min.bytes`), as Confluent's "Optimize clients for throughput" advises,
and both a fetch and a poll may bring more at once (`max.partition.fetch.bytes`, `max.poll.records`), so that
they cost little beside the lines.
"""

from __future__ import annotations

from typing import ClassVar

from comporta.bench import peers

VERSION = "4.3.1"


class Java(peers.JavaPeer):
    """`programs/Plain.java`."""

    name: ClassVar[str] = "java"
    title: ClassVar[str] = f"plain Java, kafka-clients {VERSION}, a thread for each core"
    program: ClassVar[str] = "Plain"
    folder: ClassVar[str] = f"kafka-clients-{VERSION}"
    jars: ClassVar[tuple[str, ...]] = (
        f"org.apache.kafka:kafka-clients:{VERSION}",
        "org.slf4j:slf4j-nop:1.7.36",
    )
