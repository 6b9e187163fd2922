"""Redis servers of a test's own, to be killed, restarted and refused by."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import redis


class RedisServer:
    """A `redis-server` process in a folder of its own; what it holds outlives its process.

    One that `is_tls` speaks nothing else.
    """

    def __init__(self, folder: Path, *options: str, is_tls: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.options = options
        self._is_tls = is_tls
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def start(self) -> None:
        settings = ["--save", "", "--appendonly", "yes", "--appendfsync", "always", *self.options]
        ports = ["--port", "0", "--tls-port"] if self._is_tls else ["--port"]
        listen = ["--bind", "127.0.0.1", *ports, str(self.port), "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["redis-server", *listen, *settings], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._listens():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _listens(self) -> bool:
        with socket.socket() as stream:
            return stream.connect_ex(("127.0.0.1", self.port)) == 0


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[RedisServer]:
    started = RedisServer(folder, *options)
    try:
        yield started
    finally:
        started.kill()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Three masters."""
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(server(folder / str(number), "--cluster-enabled", "yes"))
            for number in range(3)
        ]
        create = ["redis-cli", "--cluster", "create", *(f"127.0.0.1:{node.port}" for node in nodes)]
        subprocess.run([*create, "--cluster-yes"], check=True, stdout=subprocess.DEVNULL, timeout=60)
        deadline = time.monotonic() + 60
        while any("cluster_state:ok" not in str(state(node)) for node in nodes):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield nodes


def state(node: RedisServer) -> str:
    answer = subprocess.run(
        ["redis-cli", "-p", str(node.port), "cluster", "info"], check=True, capture_output=True, text=True
    )
    return answer.stdout


def free_port() -> int:
    """A port that is free, with the one 10,000 above it, which a cluster's node takes as well."""
    while True:
        with socket.socket() as low, socket.socket() as high:
            low.bind(("127.0.0.1", 0))
            port: int = low.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                high.bind(("127.0.0.1", port + 10_000))
                return port
