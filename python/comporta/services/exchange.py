"""A question to a server and its answer, over one short connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT = 1.0  # seconds


class Exchange:
    """A connection on which a few bytes go to and fro; whatever fails is an `OSError`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, content: bytes) -> None:
        """Send all of it."""
        self._connection.sendall(content)

    def receive(self, size: int) -> bytes:
        """The next `size` bytes."""
        content = b""
        while len(content) < size:
            content += self._some(size - len(content))
        return content

    def receive_line(self) -> bytes:
        """The next line, without its end."""
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._some(1)
        return line[:-2]

    def _some(self, most: int) -> bytes:
        content = self._connection.recv(most)
        if not content:
            raise ConnectionError("the server has closed the connection")
        return content


@contextmanager
def connected(host: str, port: int) -> Iterator[Exchange]:
    """A connection to a server. Raises `OSError` where there is none."""
    with socket.create_connection((host, port), TIMEOUT) as connection:
        yield Exchange(connection)
