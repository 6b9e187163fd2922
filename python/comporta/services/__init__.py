"""Real Kafka, Cassandra and Redis on this machine, for development and for tests.

They are ordinary processes on loopback addresses; `Services` is a set of them in a folder.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from comporta.errors import ComportaError
from comporta.services import cassandra, folders, jars, kafka, plan, ports, processes, programs, redis
from comporta.services.cassandra import Cassandra
from comporta.services.kafka import Kafka
from comporta.services.node import Node
from comporta.services.plan import Plan
from comporta.services.redis import Redis

__all__ = ["SERVICES", "Cassandra", "Kafka", "Node", "Redis", "Services", "Status"]

SERVICES = tuple(plan.PORTS)
LOCK = "services.lock"
PATIENCE = 20.0  # seconds that nodes have to end by themselves
CLASSES: dict[str, type[Node]] = {"kafka": Kafka, "cassandra": Cassandra, "redis": Redis}


class Status(NamedTuple):
    """How a node is: `state` is `ready`, `running` (it does not answer) or `stopped`."""

    service: str
    node: int
    address: str
    pid: int | None
    state: str
    log: str


class Services:
    """The services in a folder: one node of each, or three.

    What is not given is as it was when the folder was first used; in a new folder, one node of each on the
    usual ports. `only` names the services that `up` starts, all by default. `is_proxied` has the only broker
    of Kafka listen for clients that reach it through a proxy, too; a new cluster of Redis has so many
    `redis_replicas` of each master. `say` gets a line whenever there is progress.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        nodes: int | None = None,
        kafka_port: int | None = None,
        cassandra_port: int | None = None,
        redis_port: int | None = None,
        only: Collection[str] = (),
        is_proxied: bool = False,
        redis_replicas: int = 0,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.folder = Path(folder).absolute() if folder else folders.default_data()
        self._nodes = nodes
        self._ports = {"kafka": kafka_port, "cassandra": cassandra_port, "redis": redis_port}
        self._only = tuple(only) or SERVICES
        self._is_proxied = is_proxied
        self._redis_replicas = redis_replicas
        self._say = say

    @property
    def nodes(self) -> list[Node]:
        """All nodes that the folder has, running or not."""
        kept = plan.read(self.folder)
        return self._all(kept) if kept else []

    def node(self, service: str, number: int = 1) -> Node:
        """One of the nodes, which are numbered from 1. Raises `ComportaError` where there is none such."""
        for node in self.nodes:
            if (node.service, node.number) == (service, number):
                return node
        raise ComportaError(f"there is no {service}-{number} in {self.folder}")

    @property
    def kafka(self) -> str:
        """Where clients find Kafka: `HOST:PORT[,HOST:PORT]`."""
        return self._addresses("kafka")

    @property
    def cassandra(self) -> str:
        """Where clients find Cassandra: `HOST:PORT[,HOST:PORT]`."""
        return self._addresses("cassandra")

    @property
    def redis(self) -> str:
        """Where clients find Redis: `HOST:PORT[,HOST:PORT]`."""
        return self._addresses("redis")

    @property
    def proxied(self) -> tuple[int, int]:
        """Where Kafka listens for a proxy, and where it sends clients that come that way: two ports."""
        kept = plan.read(self.folder)
        if kept is None or not kept.proxied:
            raise ComportaError(f"there is no Kafka for a proxy in {self.folder}")
        listens, told = kept.proxied
        return listens, told

    def up(self) -> list[Node]:
        """Start what does not run, and wait until all of it answers. Returns what was started.

        If that fails or is interrupted, what it has started is ended. Raises `ComportaError`, or
        `UsageError` where the folder has other services than those asked for.
        """
        began = time.monotonic()
        programs.need(self._programs())
        with self._locked():
            wanted = self._planned()
            missing = [node for node in wanted if node.process is None]
            if not missing and all(node.is_ready() for node in wanted):
                return []
            for service, module in {"kafka": kafka, "cassandra": cassandra}.items():
                if any(node.service == service for node in missing):
                    jars.fetch(module.JARS, module.ARTIFACTS, self._say)
            try:
                self._bring_up(wanted, began)
            except BaseException:
                _end(missing, gently=False)
                raise
        self._say(f"ready in {time.monotonic() - began:.0f} s")
        return missing

    def down(self, *, delete: bool = False) -> list[Node]:
        """End all nodes, and delete their data if told to. Returns those that ran. Raises `ComportaError`."""
        if plan.read(self.folder) is None:
            return []
        with self._locked():
            nodes = self.nodes
            running = [node for node in nodes if node.process is not None]
            _end(running, gently=not delete)
            if delete:
                self._delete(nodes)
        return running

    def status(self) -> list[Status]:
        """How each node is. Raises `ComportaError` where the folder cannot be read."""
        return [
            Status(node.service, node.number, node.address, node.pid, node.state, str(node.log))
            for node in self.nodes
        ]

    def _programs(self) -> Iterator[str]:
        if {"kafka", "cassandra"} & set(self._only):
            yield "java"
        if "redis" in self._only:
            yield "redis-server"
            yield "redis-cli"

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return folders.locked(
            self.folder / LOCK, lambda: self._say(f"waiting for another command on {self.folder}")
        )

    def _planned(self) -> list[Node]:
        """The nodes that are to run; the plan that has them is kept."""
        whole = plan.extended(
            plan.read(self.folder),
            self._nodes,
            self._ports,
            self._only,
            is_proxied=self._is_proxied,
            replicas=self._redis_replicas,
        )
        for service in self._only:
            if whole.nodes == 1:  # more would not find each other again
                whole = _with_free_inner(whole, self._of(whole, service)[0])
        wanted = [node for service in self._only for node in self._of(whole, service)]
        for node in wanted:
            if node.process is None:
                _check_ports(whole, node)
        plan.write(self.folder, whole)
        return wanted

    def _bring_up(self, wanted: Sequence[Node], began: float) -> None:
        """Start all services at the same time, a step of each in turn."""
        at_work = {}
        for service in self._only:
            nodes = [node for node in wanted if node.service == service]
            for node in nodes:
                if process := node.process:
                    process.send(signal.SIGCONT)  # it may have been paused
            self._say(f"starting {', '.join(node.name for node in nodes)}")
            at_work[service] = _steps(nodes)
        try:
            while at_work:
                for service, steps in list(at_work.items()):
                    if next(steps, DONE) is DONE:
                        del at_work[service]
                        addresses = ", ".join(node.address for node in wanted if node.service == service)
                        self._say(f"{service} answers on {addresses} after {time.monotonic() - began:.0f} s")
                time.sleep(processes.POLL)
        finally:
            for steps in at_work.values():
                steps.close()  # which ends the tools that they are waiting for

    def _delete(self, nodes: Sequence[Node]) -> None:
        # Only what was made here: the folder may be one that has other things in it.
        for node in nodes:
            shutil.rmtree(node.folder, ignore_errors=True)
        for name in (plan.FILE, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def _addresses(self, service: str) -> str:
        found = [node.address for node in self.nodes if node.service == service]
        if not found:
            raise ComportaError(f"there is no {service} in {self.folder}")
        return ",".join(found)

    def _all(self, whole: Plan) -> list[Node]:
        return [node for service in SERVICES if service in whole.clients for node in self._of(whole, service)]

    def _of(self, whole: Plan, service: str) -> list[Node]:
        return [CLASSES[service](whole, number, self.folder) for number in whole.numbers(service)]


DONE = object()


def _steps(nodes: Sequence[Node]) -> Generator[None, None, None]:
    if kafkas := [node for node in nodes if isinstance(node, Kafka)]:
        yield from kafka.bring_up(kafkas)
    if cassandras := [node for node in nodes if isinstance(node, Cassandra)]:
        yield from cassandra.bring_up(cassandras)
    if redises := [node for node in nodes if isinstance(node, Redis)]:
        yield from redis.bring_up(redises)


def _with_free_inner(whole: Plan, node: Node) -> Plan:
    """The plan, with another inner port where somebody else has taken that of this node meanwhile."""
    if node.process is None and not all(ports.is_free(*place) for place in _listening(whole, node)[1:]):
        return plan.without_inner(whole, node.service)
    return whole


def _check_ports(whole: Plan, node: Node) -> None:
    for address, port in _listening(whole, node):
        if not ports.is_free(address, port):
            raise ComportaError(
                f"port {port} on {address}, which {node.name} is to have, is taken by another program: "
                f"end that, or give another --{node.service}-port"
            )


def _listening(whole: Plan, node: Node) -> list[tuple[str, int]]:
    return whole.listening(node.service, node.number)


def _end(nodes: Iterable[Node], *, gently: bool) -> None:
    processes.end([process for node in nodes if (process := node.process)], PATIENCE, gently=gently)
