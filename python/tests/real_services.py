"""Real Kafka, Cassandra and Redis, one node of each, for a whole session of tests.

A conftest has `from real_services import services as services`; a test takes the fixture `services`. The
variable COMPORTA_TEST_SERVICES names a folder where they are up already, which saves ten seconds a session.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from comporta.services import Services, ports


class RealServices(NamedTuple):
    """Where clients find the services, each `127.0.0.1:PORT`, and the set, to do something to a node."""

    kafka: str
    cassandra: str
    redis: str
    services: Services


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServices]:
    """All three, ready; what other tests have made is there, too, so choose names of your own."""
    if given := os.environ.get("COMPORTA_TEST_SERVICES"):
        yield _known(Services(given))
        return
    folder = tmp_path_factory.mktemp("services")
    with watched(folder):
        yield _known(start(folder))


def start(folder: Path, *, nodes: int = 1) -> Services:
    """Services in a folder, on ports that nobody else has, up."""
    kafka, cassandra, redis = ports.for_services(nodes)
    found = Services(folder, nodes=nodes, kafka_port=kafka, cassandra_port=cassandra, redis_port=redis)
    found.up()
    return found


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """While this lasts, and no longer, may services run in a folder; then it is deleted.

    They are ended by a process of its own, which notices that a pipe is closed: by the end of the `with`, or
    by the end of this process, however that comes.
    """
    watcher = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # or Ctrl-C would end it before its work
    )
    assert watcher.stdin is not None
    try:
        yield
    finally:
        watcher.stdin.close()
        assert watcher.wait(timeout=60) == 0


def _known(found: Services) -> RealServices:
    stopped = [row for row in found.status() if row.state != "ready"]
    assert not stopped, f"not ready: {stopped}"
    return RealServices(found.kafka, found.cassandra, found.redis, found)


if __name__ == "__main__":
    sys.stdin.read()
    Services(sys.argv[1]).down(delete=True)
