"""What is put to the test: releases, and the files or the real services that they read and write."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from comporta import addresses, brokers
from comporta.chaos import harness, processes
from comporta.chaos.clock import Clock
from comporta.chaos.disk import Disk
from comporta.chaos.kafka import Group, ends, grow
from comporta.chaos.member import Member
from comporta.chaos.positions import CassandraPosition, SqlitePosition
from comporta.chaos.producer import FileProducer, KafkaProducer, Producer
from comporta.chaos.proxy import Proxy
from comporta.chaos.results import Results, comporta
from comporta.chaos.transactions import TransactionalProducer
from comporta.chaos.workload import Kind, Workload
from comporta.services import Node, Services

PARTITIONS = 4
SESSION = 6.0  # seconds after which the group goes on without a member that is not heard of
HEARTBEAT = 2.0  # seconds between two times that it is, at most
# Quick to notice, so that a run of minutes has room for many faults.
SETTINGS = {
    "COMPORTA_SESSION_TIMEOUT": f"{SESSION:.0f}s",
    "COMPORTA_FLUSH_EVERY": "200ms",
    "COMPORTA_BATCH_TIMEOUT": "5s",
    "COMPORTA_BATCH_BYTES": "32KiB",
    "COMPORTA_WORKER_MEMORY": "400MiB",
    "COMPORTA_DRAIN_TIMEOUT": "15s",
    "COMPORTA_LOG_FORMAT": "text",
}


class System(ABC):
    """One workload on one kind of system, in a folder of its own.

    `members` are the releases that share the work; a fault may add others with `join` and take them away with
    `leave`. `everyone` has those that left, too.
    """

    kind: Kind
    clock: Clock | None = None

    def __init__(self, workload: Workload, folder: Path, members: int) -> None:
        self.workload = workload
        self.folder = folder
        folder.mkdir(parents=True)
        self.file = folder / "pipeline.py"
        self.file.write_text(workload.code)
        self.environment = (
            os.environ | SETTINGS | dict(workload.environment) | {harness.FOLDER: str(folder.absolute())}
        )
        self.members: list[Member] = []
        self.everyone: list[Member] = []
        self._size = members
        self._named = 0
        self.producer = self._producer()

    def start(self) -> None:
        """Make what is needed, and run."""
        self._prepare()
        for _ in range(self._size):
            self.join()
        self.producer.start()

    def join(self) -> Member:
        """Start one more member."""
        self._named += 1
        words = [str(self.file), *self._where(), "--workers", "1", *self.workload.options]
        name = f"member-{self._named}"
        clock = self.clock.environment(name) if self.clock else {}
        member = Member(name, words, self.environment | clock, self.folder)
        member.start()
        self.members.append(member)
        self.everyone.append(member)
        return member

    def leave(self, member: Member, *, at_once: bool = False) -> int:
        """Drain a member, or kill it, and do not start it again. Its exit status."""
        self.members.remove(member)
        return member.stop(at_once=at_once)

    def use_clock(self) -> None:
        """Give members clocks that can be wrong."""
        self.clock = self.clock or Clock(self.folder / "clocks")

    def use_release(self, folder: Path) -> None:
        """Have members run the release in `folder` from their next start on."""
        for environment in (self.environment, *(member.environment for member in self.members)):
            environment["COMPORTA_RELEASE"] = str(folder)

    def wait_until_whole(self, seconds: float) -> bool:
        """Wait until nothing of it is missing; False where that takes longer."""
        deadline = time.monotonic() + seconds
        while not self.is_whole():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def is_whole(self) -> bool:
        """Whether every member has a process of each role."""
        roles = {"beam", "source", "store", "worker", *(["claims"] if self.workload.deduplicates else [])}
        return all(roles <= member.roles() for member in self.members)

    def stop(self) -> list[int]:
        """Drain all members; their exit statuses."""
        return [member.stop() for member in self.members]

    def wait_until_gone(self, seconds: float) -> list[str]:
        """Wait until no process is left of all members, which have ended; else what is left after so long."""
        deadline = time.monotonic() + seconds
        while left := processes.marked(*self._mark):
            if time.monotonic() > deadline:
                return list(left.values())
            time.sleep(0.1)
        return []

    def abandon(self) -> None:
        """End everything at once."""
        for member in self.members:
            member.stop(at_once=True)
        for pid in processes.marked(*self._mark):
            processes.send(pid)

    def close(self) -> None:  # noqa: B027
        """Put away what was made for it, once it has been judged; nothing by default."""

    def misbehave(self, kind: str, seconds: float) -> bool:
        """Have the first worker that sees it misbehave, once; False where none has come within `seconds`."""
        request = self.folder / harness.FILE
        request.with_suffix(".new").write_text(kind)
        request.with_suffix(".new").rename(request)
        deadline = time.monotonic() + seconds
        while request.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not request.exists()

    def run(self, *words: str) -> str:
        """Run another command of `comporta`; what it wrote to stdout."""
        return comporta(words, self.folder, self.environment)

    def has_said(self, words: str) -> bool:
        """Whether the log of any member, of former ones too, has these words."""
        return any(words in log.read_text(errors="replace") for log in self.folder.glob("*.log"))

    @property
    def _mark(self) -> tuple[str, str]:
        """What the environment of all processes of its members has."""
        return harness.FOLDER, self.environment[harness.FOLDER]

    @property
    def cluster(self) -> Cluster:
        """This system, for faults that are for a cluster alone."""
        assert isinstance(self, Cluster)
        return self

    @property
    def embedded(self) -> Embedded:
        """This system, for faults that are for an embedded one alone."""
        assert isinstance(self, Embedded)
        return self

    @abstractmethod
    def results(self) -> Results:
        """What the pipeline has counted."""

    @abstractmethod
    def position(self) -> SqlitePosition | CassandraPosition:
        """How to see how much is durable."""

    @abstractmethod
    def ends(self) -> dict[str, int] | None:
        """Where each partition ends, as the position has them; None where that cannot be known now."""

    @abstractmethod
    def _producer(self) -> Producer: ...

    @abstractmethod
    def _prepare(self) -> None: ...

    @abstractmethod
    def _where(self) -> list[str]: ...


class Embedded(System):
    """Files that grow, read by one release into an SQLite file, which may have a `disk` of its own."""

    kind: Kind = "embedded"
    disk: Disk | None = None

    def __init__(self, workload: Workload, folder: Path) -> None:
        self.database = folder / "store" / "pipeline.db"
        self._logs = folder / "logs"
        super().__init__(workload, folder, members=1)

    def results(self) -> Results:
        return Results(self.file, self._store(), self._source(), self.folder, self.environment)

    def position(self) -> SqlitePosition:
        return SqlitePosition(self.database)

    @property
    def files(self) -> FileProducer:
        """Who writes the log files."""
        assert isinstance(self.producer, FileProducer)
        return self.producer

    def use_own_disk(self) -> None:
        """Keep the SQLite file on a disk that can be filled."""
        if self.disk is None:
            self.database.parent.mkdir()
            self.disk = Disk(self.database.parent)

    def close(self) -> None:
        if self.disk is not None:
            self.disk.close()

    def ends(self) -> dict[str, int]:
        return dict(self.files.lines)

    def _producer(self) -> Producer:
        return FileProducer(self.workload, self._logs, PARTITIONS)

    def _prepare(self) -> None:
        self.database.parent.mkdir(exist_ok=True)

    def _where(self) -> list[str]:
        return [*self._source(), *self._store()]

    def _source(self) -> list[str]:
        return ["--source", f"file:{self._logs}/part-?.log"]

    def _store(self) -> list[str]:
        return ["--store", f"sqlite:{self.database}"]


class Cluster(System):
    """A topic, a keyspace and claims on real services, read by two releases.

    With one node of each service, releases reach them through `proxies`, by the service's name.
    """

    def __init__(
        self, workload: Workload, folder: Path, services: Services, proxies: Mapping[str, Proxy], members: int
    ) -> None:
        self.services = services
        self.proxies = proxies
        self.kind = "replicated" if any(node.number > 1 for node in services.nodes) else "cluster"
        self.topic = f"chaos-{secrets.token_hex(4)}"
        self._keyspace = f"chaos_{secrets.token_hex(4)}"
        self.group = Group(services.kafka, self.topic)
        super().__init__(workload, folder, members)

    def is_whole(self) -> bool:
        """Whether nothing is missing of members and services, and copies are up to date."""
        with contextlib.suppress(OSError, ValueError):
            return super().is_whole() and all(node.is_whole() for node in self.services.nodes)
        return False

    def results(self) -> Results:
        address = self._address(lambda service: None)
        return Results(
            self.file,
            ["--store", address["store"]],
            ["--source", address["source"]],
            self.folder,
            self.environment,
        )

    def position(self) -> CassandraPosition:
        nodes = self.nodes("cassandra")
        return CassandraPosition([node.host for node in nodes], nodes[0].port, self._keyspace, "chaos")

    def nodes(self, service: str) -> list[Node]:
        """The nodes of a service."""
        return [node for node in self.services.nodes if node.service == service]

    def grow(self, more: int, most: int) -> int:
        """Give the topic more partitions, up to so many; how many it has."""
        return grow(self.services.kafka, self.topic, more, most)

    def ends(self) -> dict[str, int] | None:
        return ends(self.services.kafka, self.topic)

    def _producer(self) -> Producer:
        kind = TransactionalProducer if self.workload.is_transactional else KafkaProducer
        return kind(self.workload, self.services.kafka, self.topic)

    def _prepare(self) -> None:
        address = self._address(lambda service: None)
        brokers.ensure_topics(addresses.kafka(address["source"]), partitions=PARTITIONS)
        words = ["--store", address["store"], "--source", address["source"]]
        if self.kind == "replicated":
            words += ["--replication", "3"]
        self.run("init", str(self.file), *words)

    def _where(self) -> list[str]:
        address = self._address(self.proxies.get)
        return [word for name, url in address.items() for word in (f"--{name}", url)]

    def _address(self, proxied: Callable[[str], Proxy | None]) -> dict[str, str]:
        """The URLs of source, store and claims, through proxies where `proxied` gives one."""
        services = self.services
        kafka, cassandra, redis = (
            proxy.address if (proxy := proxied(service)) else usual
            for service, usual in (
                ("kafka", services.kafka),
                ("cassandra", _hosts_and_port(services.cassandra)),
                ("redis", services.redis),
            )
        )
        return {
            "source": f"kafka://{kafka}/{self.topic}?group={self.topic}",
            "store": f"cassandra://{cassandra}/{self._keyspace}",
            "claims": f"redis://{redis}",
        }


def _hosts_and_port(addresses: str) -> str:
    """`HOST:PORT,HOST` of nodes that all listen on one port."""
    first, *others = addresses.split(",")
    return ",".join([first, *(other.rpartition(":")[0] for other in others)])
