"""Kafka without ZooKeeper: each node is a broker and a controller."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

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

    def brokers(self) -> list[int]:
        """The numbers of the brokers that it takes for alive. Raises `OSError`."""
        with connected(self.host, self.port) as exchange:
            body = struct.pack(">hhih", METADATA, 1, 0, -1) + struct.pack(">i", 0)  # of no topics
            exchange.send(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", exchange.receive(4))
            return read_brokers(exchange.receive(size))


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
            f"{other}@127.0.0.1:{plan.inner[f'kafka-{other}']}" for other in plan.numbers()
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


def read_brokers(answer: bytes) -> list[int]:
    """The brokers' numbers in an answer to a metadata request of version 1."""
    (count,) = struct.unpack_from(">i", answer, 4)
    position, found = 8, []
    for _ in range(count):
        number, length = struct.unpack_from(">ih", answer, position)
        position += 6 + length + 4
        (rack,) = struct.unpack_from(">h", answer, position)
        position += 2 + max(rack, 0)
        found.append(number)
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
