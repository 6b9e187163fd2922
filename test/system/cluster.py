"""A topic, a keyspace and a Redis of a test's own on the real services, and the command upon them."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from conftest import Workplace, role, tree
from kafka_topics import Topic
from real_services import RealServices

from comporta.audit import whole
from comporta.sinks import Checkpoint, Ledger, Sink, current_generation, open_sink

PARTITIONS = 4
SMALL = {"COMPORTA_BATCH_BYTES": "4KiB", "COMPORTA_SESSION_TIMEOUT": "6s"}


class Cluster:
    """A topic, a keyspace and a Redis, as a user names them; each FILE.py has a consumer group of its own."""

    def __init__(self, services: RealServices, workplace: Workplace, partitions: int = PARTITIONS) -> None:
        self.services = services
        Topic.server = services.kafka
        self.workplace = workplace
        self.partitions = partitions
        self.topic = Topic(partitions)
        self.store = f"cassandra://{services.cassandra}/test_{secrets.token_hex(4)}"
        self.claims = f"redis://{services.redis}"

    def group(self, file: Path) -> str:
        return f"{self.topic.name}-{file.stem}"

    def places(self, file: Path) -> tuple[str, ...]:
        """Where the source of a pipeline is, and its store."""
        return "--source", f"{self.topic.url}?group={self.group(file)}", "--store", self.store

    def fill(self, values: Sequence[bytes]) -> None:
        """Send values to the partitions in turn; returns when all are acknowledged."""
        for number in range(self.partitions):
            mine = values[number :: self.partitions]
            self.topic.send(mine, number, compression_type="lz4", linger_ms=20, max_batch_size=1 << 18)

    def init(self, file: Path) -> None:
        self.workplace.run("init", file, *self.places(file))

    def start(
        self, file: Path, *words: object, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        options = {"env": SMALL | (env or {}), "stderr": None, "stdout": subprocess.DEVNULL} | options
        where = (*self.places(file), "--claims", self.claims)
        return self.workplace.start("run", file, *where, "--workers", "1", *words, **options)

    def finish(self, file: Path, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        where = (*self.places(file), "--claims", self.claims)
        return self.workplace.run("run", file, *where, "--until-end", *words, **({"env": SMALL} | options))

    def so_far(self, pipeline: str) -> Ledger:
        """What has taken effect by now; for waiting, as it starts no process."""
        return whole(self.checkpoints(pipeline))

    def checkpoints(self, pipeline: str) -> list[Checkpoint]:
        return self.sink.checkpoints(current_generation(self.sink, pipeline).id)

    @cached_property
    def sink(self) -> Sink:
        return open_sink(self.store, create=False)

    def ledger(self, file: Path) -> dict[str, Any]:
        """The whole, balanced, and as the topic's records are counted again."""
        whole = self.workplace.ledger(file, *self.places(file))
        assert whole["recounted"] == whole["consumed"]
        return whole

    def counts(self, file: Path, metric: str) -> dict[tuple[Any, ...], Any]:
        return self.workplace.counts(file, metric, "--store", self.store)

    def letters(self, file: Path) -> list[dict[str, Any]]:
        return self.workplace.letters(file, *self.places(file))

    def close(self) -> None:
        if "sink" in vars(self):
            self.sink.close()


@pytest.fixture
def cluster(services: RealServices, workplace: Workplace) -> Iterator[Cluster]:
    made = Cluster(services, workplace)
    yield made
    made.close()


def parts(process: subprocess.Popen[str], *roles: str) -> list[int]:
    """The processes of a run that are these parts of it."""
    return [pid for pid, line in tree(process.pid).items() if role(line) in roles]
