"""Cassandra: one node, or three on loopback addresses of their own."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from comporta.services import folders, jars
from comporta.services.exchange import Exchange, connected
from comporta.services.node import Node
from comporta.services.plan import Plan

PROGRAMS = ("java",)
VERSION = "5.0.5"
JARS = f"cassandra-{VERSION}"
ARTIFACTS = (f"org.apache.cassandra:cassandra-all:{VERSION}",)

EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
)
OPENS = (
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/java.util.concurrent",
    "java.base/java.util",
    "java.base/java.lang",
    "java.base/java.math",
    "java.base/java.net",
    "java.base/java.lang.reflect",
    "jdk.management/com.sun.management.internal",
)

LOGBACK = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level [%thread] %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""

# The native protocol, version 4: version, flags, stream, opcode, length of what follows.
HEADER = struct.Struct(">BBhBi")
REQUEST, ANSWER = 4, 0x84
STARTUP, READY, QUERY, RESULT = 1, 2, 7, 8
ALL = 5  # the consistency level

# Of a table that has three copies, whatever the number of nodes.
THRICE = "SELECT * FROM system_distributed.view_build_status WHERE keyspace_name = 'k' AND view_name = 'v'"


class Cassandra(Node):
    """A node on loopback that has written to disk what it acknowledges."""

    service = "cassandra"

    def configure(self) -> None:
        """Write `cassandra.yaml`, and how it logs."""
        settings = yaml(self.plan, self.number, folders.make(self.folder / "data"))
        # JSON is YAML, too.
        (self.folder / "cassandra.yaml").write_text(json.dumps(settings, indent=2) + "\n")
        (self.folder / "logback.xml").write_text(LOGBACK)

    def command(self) -> Sequence[str | Path]:
        """A JVM with the node. It has no JMX, which would be one more port open to everybody."""
        heap = ["-Xms512m", "-Xmx1g"] if self.plan.nodes == 1 else ["-Xms512m", "-Xmx512m"]
        flags = [*(f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS)]
        flags += [f"--add-opens={name}=ALL-UNNAMED" for name in OPENS]
        settings = {
            "jdk.attach.allowAttachSelf": "true",
            "logback.configurationFile": str(self.folder / "logback.xml"),
            "cassandra.config": (self.folder / "cassandra.yaml").as_uri(),
            "cassandra.storagedir": str(self.folder / "data"),
            "cassandra-foreground": "yes",
            # Nobody else is there whom it could miss.
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            "cassandra.ring_delay_ms": "100",
            "cassandra.memtable.row_overhead_size": "181",  # bytes: what it would take a second to find out
        }
        options = [
            "-XX:+ExitOnOutOfMemoryError",
            *heap,
            *flags,
            *(f"-D{name}={value}" for name, value in settings.items()),
        ]
        classes = jars.classpath(jars.folder_of(JARS))
        main = "org.apache.cassandra.service.CassandraDaemon"
        return [shutil.which("java") or "java", *options, "-cp", classes, main]

    def answers(self) -> bool:
        """Whether a client can begin to speak CQL; a node listens to clients when it has joined the ring."""
        with connected(self.host, self.port) as exchange:
            return _begin(exchange)

    def is_whole(self) -> bool:
        """Whether it sees all nodes: what it missed of them is not waited for, as two of three have it."""
        return self.sees_all()

    def sees_all(self) -> bool:
        """Whether it takes all nodes of the ring for alive: else it would refuse to ask all copies."""
        with connected(self.host, self.port) as exchange:
            return _begin(exchange) and (
                self.plan.nodes == 1 or _ask(exchange, QUERY, _query(THRICE, ALL)) == RESULT
            )


def yaml(plan: Plan, number: int, data: Path) -> dict[str, object]:
    """The settings of the node `number`."""
    host, port = plan.client("cassandra", number)
    inner = plan.inner[f"cassandra-{number}"]
    seeds = [f"{plan.client('cassandra', other)[0]}:{inner}" for other in plan.numbers("cassandra")]
    return {
        "cluster_name": "comporta",
        "num_tokens": 1,
        "initial_token": str(-(2**63) + (number - 1) * 2**64 // plan.nodes),  # equal parts of the ring
        "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
        "commitlog_sync": "batch",  # what is acknowledged survives a crash
        "commitlog_directory": str(data / "commitlog"),
        "data_file_directories": [str(data / "data")],
        "saved_caches_directory": str(data / "saved_caches"),
        "hints_directory": str(data / "hints"),
        "cdc_raw_directory": str(data / "cdc_raw"),
        "listen_address": host,
        "rpc_address": host,
        "storage_port": inner,
        "native_transport_port": port,
        "start_native_transport": True,
        "endpoint_snitch": "SimpleSnitch",
        # They start at once and in any order, which only seeds can; the ring is empty when they join.
        "auto_bootstrap": False,
        "seed_provider": [
            {
                "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                "parameters": [{"seeds": ",".join(seeds)}],
            }
        ],
    }


def bring_up(nodes: Sequence[Cassandra]) -> Iterator[None]:
    """Start them all, and step until they answer and know each other."""
    for node in nodes:
        node.launch()
    for node in nodes:
        yield from node.awaited(node.sees_all)


def _begin(exchange: Exchange) -> bool:
    return _ask(exchange, STARTUP, struct.pack(">h", 1) + _string("CQL_VERSION") + _string("3.0.0")) == READY


def _query(text: str, consistency: int) -> bytes:
    return struct.pack(">i", len(text)) + text.encode() + struct.pack(">hB", consistency, 0)


def _ask(exchange: Exchange, opcode: int, body: bytes) -> int | None:
    """The kind of the answer to a request."""
    exchange.send(HEADER.pack(REQUEST, 0, 0, opcode, len(body)) + body)
    version, _, _, answer, size = HEADER.unpack(exchange.receive(HEADER.size))
    exchange.receive(size)
    return int(answer) if version == ANSWER else None


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
