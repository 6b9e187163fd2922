"""Kafka without ZooKeeper: each node is a broker and a controller."""

from __future__ import annotations

import io
import json
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from comporta.errors import ComportaError
from comporta.services import folders, jars, processes
from comporta.services.exchange import connected
from comporta.services.node import Node
from comporta.services.plan import Plan

PROGRAMS = ("java",)
VERSION = "4.3.1"
JARS = f"kafka-{VERSION}"
ARTIFACTS = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    f"org.apache.kafka:kafka-tools:{VERSION}",
    "org.slf4j:slf4j-simple:1.7.36",
)
METADATA = 3  # the number of that request
NO_TOPICS, ALL_TOPICS = 0, -1  # how many it names


class Kafka(Node):
    """A broker on loopback."""

    service = "kafka"

    def configure(self) -> None:
        """Write `server.properties`."""
        settings = properties(self.plan, self.number, self.folder / "data")
        folders.make(self.folder)
        (self.folder / "server.properties").write_text(render(settings))

    def command(self) -> Sequence[str | Path]:
        """A JVM with the broker."""
        heap = "-Xmx1g" if self.plan.nodes == 1 else "-Xmx512m"
        return [
            *_java(heap, "-XX:+ExitOnOutOfMemoryError", "-XX:MaxGCPauseMillis=20"),
            "kafka.Kafka",
            self.folder / "server.properties",
        ]

    def format(self) -> list[str | Path]:
        """What prepares the folder of its data, before it is started for the first time."""
        words: list[str | Path] = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        words += ["-t", self.plan.cluster, "-c", self.folder / "server.properties"]
        return [*_java("-Xmx256m", "-XX:TieredStopAtLevel=1"), *words]

    @property
    def is_formatted(self) -> bool:
        """Whether the folder of its data is prepared."""
        return (self.folder / "data" / "meta.properties").exists()

    def answers(self) -> bool:
        """Whether it takes itself for a living member of the cluster."""
        return self.number in self.brokers()

    def sees_all(self) -> bool:
        """Whether it takes all brokers for alive."""
        return len(self.brokers()) == self.plan.nodes

    def is_whole(self) -> bool:
        """Whether it takes all brokers for alive, and every copy of every partition for up to date."""
        metadata = read_metadata(self._metadata(ALL_TOPICS))
        return len(metadata.brokers) == self.plan.nodes and not metadata.lagging

    def leads_controllers(self) -> bool:
        """Whether it is the one controller that decides, as far as it has written down itself."""
        written = self.folder / "data" / "__cluster_metadata-0" / "quorum-state"
        return bool(json.loads(written.read_text())["leaderId"] == self.number)

    def brokers(self) -> list[int]:
        """The numbers of the brokers that it takes for alive. Raises `OSError`."""
        return read_metadata(self._metadata(NO_TOPICS)).brokers

    def _metadata(self, topics: int) -> bytes:
        with connected(self.host, self.port) as exchange:
            body = struct.pack(">hhihi", METADATA, 1, 0, -1, topics)
            exchange.send(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", exchange.receive(4))
            return exchange.receive(size)


def properties(plan: Plan, number: int, data: Path) -> dict[str, str]:
    """The settings of the broker `number`."""
    host, port = plan.client("kafka", number)
    inner = plan.inner[f"kafka-{number}"]
    copies, in_sync = (3, 2) if plan.nodes > 1 else (1, 1)
    behind, before = "", ""
    if plan.proxied:
        listens, told = plan.proxied
        behind, before = f",PROXIED://{host}:{listens}", f",PROXIED://{host}:{told}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(number),
        "controller.quorum.voters": ",".join(
            f"{other}@127.0.0.1:{plan.inner[f'kafka-{other}']}" for other in plan.numbers("kafka")
        ),
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{inner}{behind}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}{before}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        # The first consumer of all waits until all of these are there.
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "8",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",  # a topic that is missing is to be seen
        "log.cleaner.dedupe.buffer.size": str(16 << 20),  # of a heap that is small
    }


def render(settings: Mapping[str, str]) -> str:
    """A Java properties file."""
    lines = (f"{name}={value}".replace("\\", "\\\\") for name, value in settings.items())
    return "\n".join(lines) + "\n"


class Metadata(NamedTuple):
    """The brokers' numbers, and the partitions that have fewer copies up to date than they should have."""

    brokers: list[int]
    lagging: list[tuple[str, int]]


def read_metadata(answer: bytes) -> Metadata:
    """What an answer to a metadata request of version 1 says."""
    read = io.BytesIO(answer)

    def take(form: str) -> Any:
        values = struct.unpack(f">{form}", read.read(struct.calcsize(f">{form}")))
        return values if len(values) > 1 else values[0]

    def text() -> str:
        return read.read(max(0, take("h"))).decode()

    take("i")  # the request's number
    found = Metadata([], [])
    for _ in range(take("i")):
        found.brokers.append(take("i"))
        text(), take("i"), text()  # host, port, rack
    take("i")  # a controller
    for _ in range(take("i")):
        take("h")
        topic, _ = text(), take("b")
        for _ in range(take("i")):
            _, number, _ = take("hii")
            copies, in_sync = ([take("i") for _ in range(take("i"))] for _ in range(2))
            if len(in_sync) < len(copies):
                found.lagging.append((topic, number))
    return found


def bring_up(nodes: Sequence[Kafka]) -> Iterator[None]:
    """Start them all, and step until they answer."""
    yield from _formatted([node for node in nodes if not node.is_formatted])
    for node in nodes:
        node.launch()
    for node in nodes:
        yield from node.awaited(node.sees_all)


def _formatted(nodes: Sequence[Kafka]) -> Iterator[None]:
    for node in nodes:
        node.configure()
    tools = [processes.start(node.format(), node.log, node.folder) for node in nodes]
    yield from processes.awaited(tools, 60)
    for node in nodes:
        if not node.is_formatted:
            raise ComportaError(f"the folder of {node.name} cannot be prepared; see {node.log}")


def _java(*options: str) -> list[str | Path]:
    log = ["-Dorg.slf4j.simpleLogger.showDateTime=true"]
    log += ["-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS"]
    classes = jars.classpath(jars.folder_of(JARS))
    return [shutil.which("java") or "java", *options, *log, "-cp", classes]
