"""Redis: one, or three masters of a cluster, with replicas or without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from comporta.errors import ComportaError
from comporta.services import folders, processes
from comporta.services.exchange import Exchange, connected
from comporta.services.node import Node

PROGRAMS = ("redis-server",)


class Redis(Node):
    """A Redis on loopback that keeps what it was told: it appends to a file, and evicts nothing."""

    service = "redis"

    def configure(self) -> None:
        """Write `redis.conf`."""
        data = folders.make(self.folder / "data")
        (self.folder / "redis.conf").write_text(render(self, data))

    def command(self) -> Sequence[str | Path]:
        """`redis-server` with that file."""
        return [shutil.which("redis-server") or "redis-server", self.folder / "redis.conf"]

    def answers(self) -> bool:
        """Whether it answers to PING, which it does not while it loads its data."""
        with connected(self.host, self.port) as exchange:
            exchange.send(b"PING\r\n")
            return exchange.receive_line() == b"+PONG"

    def is_whole(self) -> bool:
        """Whether it answers, its cluster too, and it is a replica that is up to date or has one."""
        if self.plan.nodes == 1:
            return self.answers()
        said = self.ask(b"INFO replication\r\n")
        is_linked = int(said["connected_slaves"]) >= self.plan.replicas
        if said["role"] == "slave":
            is_linked = said["master_link_status"] == "up"
        return is_linked and self.cluster()["cluster_state"] == "ok"

    def is_master(self) -> bool:
        """Whether it takes itself for a master."""
        return self.ask(b"INFO replication\r\n")["role"] == "master"

    def cluster(self) -> dict[str, str]:
        """What CLUSTER INFO says. Raises `OSError`."""
        return self.ask(b"CLUSTER INFO\r\n")

    def flush(self) -> None:
        """Have it forget all that it holds. Raises `OSError`."""
        with connected(self.host, self.port) as exchange:
            exchange.send(b"FLUSHALL\r\n")
            exchange.receive_line()

    def ask(self, command: bytes) -> dict[str, str]:
        """What it answers to a command that lists names and values. Raises `OSError`."""
        with connected(self.host, self.port) as exchange:
            return _pairs(_bulk(exchange, command))


def render(node: Redis, data: Path) -> str:
    """The content of a node's `redis.conf`."""
    lines = [
        f"bind {node.host}",
        f"port {node.port}",
        f"dir {json.dumps(str(data), ensure_ascii=False)}",
        "daemonize no",
        'save ""',
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",  # an evicted claim would count a record twice
    ]
    if node.plan.nodes > 1:
        lines += ["cluster-enabled yes", f"cluster-port {node.plan.inner[node.name]}"]
        lines += ["cluster-config-file nodes.conf", "cluster-node-timeout 5000"]
    return "\n".join(lines) + "\n"


def bring_up(nodes: Sequence[Redis]) -> Iterator[None]:
    """Start them all, and step until they answer and, where they are three, are a cluster."""
    for node in nodes:
        node.launch()
    for node in nodes:
        yield from node.awaited()
    if len(nodes) > 1:
        yield from _joined(nodes)


def _joined(nodes: Sequence[Redis]) -> Iterator[None]:
    if all(node.cluster()["cluster_known_nodes"] == "1" for node in nodes):
        addresses = [f"{node.address}@{node.plan.inner[node.name]}" for node in nodes]
        command = [
            shutil.which("redis-cli") or "redis-cli",
            "--cluster",
            "create",
            *addresses,
            *("--cluster-replicas", str(nodes[0].plan.replicas)),
            "--cluster-yes",
        ]
        log = nodes[0].folder / "create-log"
        create = processes.start(command, log, nodes[0].folder)
        yield from processes.awaited([create], 60)
    for _ in processes.patiently(60):
        if all(node.is_whole() for node in nodes):
            return
        yield
    raise ComportaError(f"the {len(nodes)} Redis do not become a cluster; see {nodes[0].folder}")


def _bulk(exchange: Exchange, command: bytes) -> str:
    exchange.send(command)
    head = exchange.receive_line()
    if not head.startswith(b"$"):
        raise ValueError(head.decode(errors="replace"))
    return exchange.receive(int(head[1:])).decode()


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
