"""A node of Cassandra as one meets it on a bad day: answers that never come, requests that arrive much later.

It stands between a client and a node, and reads as much of the native protocol, version 4, as it must.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from typing import Any

HEADER = struct.Struct(">BBhBI")
EXECUTE, BATCH = 0x0A, 0x0D


def receive(connection: socket.socket) -> tuple[int, bytes] | None:
    """The next frame, with its opcode; None at the end."""
    header = _exactly(connection, HEADER.size)
    if header is None:
        return None
    *_, opcode, length = HEADER.unpack(header)
    body = _exactly(connection, length)
    return None if body is None else (opcode, header + body)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    data = bytearray()
    while len(data) < count:
        try:
            some = connection.recv(count - len(data))
        except OSError:
            return None
        if not some:
            return None
        data += some
    return bytes(data)


class Proxy:
    """Listens at `address`. Of the requests that write or read rows, some are made to go wrong.

    With the probability `lost`, a request is forwarded, and the client's connection is cut before the answer;
    with the probability `late`, it is cut and the request is forwarded only when `deliver` is called.
    """

    def __init__(self, node: tuple[str, int], rnd: random.Random, port: int = 0) -> None:
        self._node, self._rnd = node, rnd
        self.lost = self.late = 0.0
        self.cuts = 0
        self._held: list[tuple[socket.socket, bytes]] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._start(self._accept)

    def close(self) -> None:
        """Cut everything."""
        for connection in (self._listener, *self._sockets):
            connection.close()

    def deliver(self) -> None:
        """Forward the requests that were held back, in an order of chance."""
        held, self._held = self._held, []
        self._rnd.shuffle(held)
        for node, frame in held:
            node.sendall(frame)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            node = socket.create_connection(self._node)
            self._sockets += [client, node]
            self._start(self._requests, client, node)
            self._start(self._answers, client, node)

    def _requests(self, client: socket.socket, node: socket.socket) -> None:
        while frame := receive(client):
            opcode, data = frame
            fate = self._rnd.random() if opcode in (EXECUTE, BATCH) else 1.0
            if fate < self.lost + self.late:
                self.cuts += 1
                client.shutdown(socket.SHUT_RDWR)
                if fate < self.lost:
                    node.sendall(data)
                else:
                    self._held.append((node, data))
                return
            try:
                node.sendall(data)
            except OSError:
                return

    def _answers(self, client: socket.socket, node: socket.socket) -> None:
        while frame := receive(node):
            try:
                client.sendall(frame[1])
            except OSError:  # the node's connection stays open, for what may be delivered in it later
                continue

    def _start(self, work: Any, *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()


ANSWERS = {
    0x05: (0x06, b"\x00\x02\x00\x0bCQL_VERSION\x00\x01\x00\x053.4.5\x00\x0bCOMPRESSION\x00\x00"),  # OPTIONS
    0x01: (0x03, b"\x00\x04Auth"),  # STARTUP: AUTHENTICATE
    0x0F: (0x00, b"\x00\x00\x01\x00\x00\x0ewrong password"),  # AUTH_RESPONSE: ERROR, bad credentials
}


class Refusing:
    """A node that asks for a password and refuses any."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            while frame := receive(client):
                opcode, data = frame
                version, _, stream, _, _ = HEADER.unpack(data[: HEADER.size])
                answer, body = ANSWERS[opcode]
                client.sendall(HEADER.pack(version | 0x80, 0, stream, answer, len(body)) + body)
