"""A node of Cassandra as one meets it on a bad day: answers that never come, requests that arrive much later.

It stands between a client and a node, and reads as much of the native protocol, version 4, as it must.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

HEADER = struct.Struct(">BBhBI")
ERROR, RESULT, PREPARE, EXECUTE, BATCH = 0x00, 0x08, 0x09, 0x0A, 0x0D
WRITE_TIMEOUT, QUORUM = 0x1100, 4
WARNINGS = 0x08  # the flag of an answer that begins with them
FATES = ("lost", "late", "doubtful", "silent")


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
    with the probability `late`, it is cut and the request is forwarded only when `deliver` is called. With
    the probability `doubtful`, a write is carried out, and the answer is that nobody knows. If it is
    `thorough`, the first comparisons and the first other writes meet all of that and, once, with silence.
    `fates` counts what became of requests, by kind.
    """

    def __init__(
        self,
        node: tuple[str, int],
        rnd: random.Random,
        port: int = 0,
        *,
        lost: float = 0.0,
        late: float = 0.0,
        doubtful: float = 0.0,
        thorough: bool = False,
    ) -> None:
        self._node, self._rnd = node, rnd
        self.lost, self.late, self.doubtful, self.thorough = lost, late, doubtful, thorough
        self.fates: Counter[tuple[str, str]] = Counter()
        self._statements: dict[bytes, str] = {}  # by the ids that the node has given them
        self._held: list[tuple[socket.socket, bytes]] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._start(self._accept)

    @property
    def cuts(self) -> int:
        """How often a connection was cut."""
        return sum(count for (fate, _), count in self.fates.items() if fate in ("lost", "late"))

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
            link = Link(client, socket.create_connection(self._node))
            self._sockets += [link.client, link.node]
            self._start(self._requests, link)
            self._start(self._answers, link)

    def _requests(self, link: Link) -> None:
        while frame := receive(link.client):
            opcode, data = frame
            number, what = data[2:4], self._kind(opcode, data)
            if opcode == PREPARE:
                link.prepared[number] = data[HEADER.size + 4 :].decode()
            fate = self._fate(what)
            if fate in ("lost", "late"):
                link.client.shutdown(socket.SHUT_RDWR)
                if fate == "lost":
                    link.node.sendall(data)
                else:
                    self._held.append((link.node, data))
                return
            if fate == "silent":
                link.instead[number] = b""
            elif fate == "doubtful":
                link.instead[number] = timed_out(number, what)
            try:
                link.node.sendall(data)
            except OSError:
                return

    def _kind(self, opcode: int, data: bytes) -> str:
        """What a request is: a comparison, a write, a read, or something else."""
        if opcode == BATCH:
            return "write"
        if opcode != EXECUTE:
            return "other"
        start = HEADER.size + 2
        (length,) = struct.unpack(">h", data[HEADER.size : start])
        query = self._statements[data[start : start + length]]
        if query.startswith("SELECT"):
            return "read"
        return "comparison" if " IF " in query else "write"

    def _fate(self, what: str) -> str:
        if what == "other":
            return ""
        is_write = what != "read"
        missing = [fate for fate in FATES if not self.fates[fate, what]]
        if self.thorough and is_write and missing:
            fate = missing[0]
        else:
            chances = {"lost": self.lost, "late": self.late, "doubtful": self.doubtful * is_write}
            weights = [*chances.values(), 1 - sum(chances.values())]
            [fate] = self._rnd.choices([*chances, ""], weights)
        self.fates[fate, what] += 1
        return fate

    def _answers(self, link: Link) -> None:
        while frame := receive(link.node):
            opcode, data = frame
            query = link.prepared.pop(data[2:4], None)
            if query and opcode == RESULT:
                self._statements[prepared_id(data)] = query
            try:
                link.client.sendall(link.instead.pop(data[2:4], data))
            except OSError:  # the node's connection stays open, for what may be delivered in it later
                continue

    def _start(self, work: Any, *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()


@dataclass
class Link:
    """A client's connection and its own to the node; by the numbers of requests, what was asked to be
    prepared, and what is answered instead.
    """

    client: socket.socket
    node: socket.socket
    prepared: dict[bytes, str] = field(default_factory=dict)
    instead: dict[bytes, bytes] = field(default_factory=dict)


def prepared_id(data: bytes) -> bytes:
    """The id that a node gives to a statement: it follows the kind of result, and that follows warnings."""
    place = HEADER.size
    if data[1] & WARNINGS:
        (count,) = struct.unpack_from(">H", data, place)
        place += 2
        for _ in range(count):
            place += 2 + struct.unpack_from(">H", data, place)[0]
    (length,) = struct.unpack_from(">H", data, place + 4)
    return data[place + 6 : place + 6 + length]


def timed_out(number: bytes, what: str) -> bytes:
    """The error of a write of which not enough replicas were heard."""
    kind = b"CAS" if what == "comparison" else b"SIMPLE"
    words = b"nobody knows"
    body = struct.pack(">IH", WRITE_TIMEOUT, len(words)) + words
    body += struct.pack(">HIIH", QUORUM, 0, 1, len(kind)) + kind
    return HEADER.pack(0x84, 0, *struct.unpack(">h", number), ERROR, len(body)) + body


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
