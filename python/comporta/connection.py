"""The frames that a Python process and the BEAM exchange over a Unix socket.

A frame is the 4-byte big-endian length of what follows, the length of the header, the header (at most 64 KiB
of `comporta.etf`: a map with a `kind` and an `id`) and the payload, the affair of sender and receiver.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from comporta import etf
from comporta.etf import Atom
from comporta.scalars import clean

Payload = bytes | bytearray | memoryview

MAX_FRAME = 64 << 20
MAX_HEADER = 64 << 10
LONGEST_LOG = 8000  # characters of a text that is logged
Level = Literal["debug", "info", "warning", "error"]


class Frame(NamedTuple):
    """A frame received: text in the header is `bytes`, the payload a read-only view."""

    header: dict[str, Any]
    payload: memoryview

    @property
    def kind(self) -> str:
        """What the frame is, e.g. `batch`."""
        return str(self.header["kind"])


class Closed(Exception):
    """The BEAM has ended the connection."""


class Severed(Exception):
    """Code that runs in this process has closed the connection, as its text says."""


class ProtocolError(ValueError):
    """The peer sent, or was about to be sent, something that is not a frame."""


class Connection:
    """One end of a frame socket. Any thread may send; one thread at a time may receive.

    `descriptor` is the socket's own number and not a socket object, so that nothing closes it before the
    process ends: the BEAM takes the end of the socket for the end of the process.
    """

    def __init__(self, descriptor: int, max_frame: int = MAX_FRAME) -> None:
        self._descriptor = descriptor
        self._max_frame = max_frame
        self._kept: deque[Frame] = deque()
        self._sending = threading.Lock()
        self._on_stall: Callable[[], None] | None = None
        self.is_ready = False

    def receive(self) -> Frame:
        """The next frame, once there is one. Raises `Closed` at the end, `ProtocolError` on nonsense."""
        return self._kept.popleft() if self._kept else self._read()

    def wait(self, seconds: float, others: Iterable[int] = ()) -> bool:
        """Whether there is something to receive (the end, too) now, or within `seconds`.

        It returns at once when one of the descriptors `others` becomes readable.
        """
        if self._kept:
            return True
        if self._descriptor < 0:
            raise Closed
        poll = select.poll()
        for descriptor in (self._descriptor, *others):
            poll.register(descriptor, select.POLLIN)
        return any(descriptor == self._descriptor for descriptor, _ in poll.poll(seconds * 1000))

    def send(self, header: Mapping[str, object], payload: Payload = b"") -> None:
        """Send a frame; `header` has its `kind`, and an `id` unless that is 0.

        Raises `Closed` when there is nobody to receive it, `ProtocolError` when it is larger than allowed.
        """
        kind = Atom(header["kind"])
        encoded = etf.encode({"id": 0, **header, "kind": kind})
        body = memoryview(payload).cast("B")
        length = 4 + len(encoded) + len(body)
        if len(encoded) > MAX_HEADER:
            raise ProtocolError(f"the header of a {kind} frame has {len(encoded)} bytes, over {MAX_HEADER}")
        if length > self._max_frame:
            raise ProtocolError(
                f"a {kind} frame of {length} bytes is over COMPORTA_MAX_FRAME, {self._max_frame}"
            )
        with self._sending:
            self._write([memoryview(struct.pack(">II", length, len(encoded)) + encoded), body])

    def request(self, header: Mapping[str, object], payload: Payload = b"") -> Frame:
        """Send a frame and wait for the `answer` of its `id`; what comes before is kept for `receive`."""
        self.send(header, payload)
        while True:
            frame = self._read()
            if frame.kind == "answer":
                if frame.header["id"] != header["id"]:
                    raise ProtocolError(f"answer {frame.header['id']} to request {header['id']}")
                return frame
            self._kept.append(frame)

    def waiting(self, reason: str) -> None:
        """Say, before `ready`, what the start waits for; the BEAM then goes on waiting too."""
        self.send({"kind": "waiting", "reason": reason})

    def ready(self, payload: Payload = b"", **fields: object) -> None:
        """Say that the start has succeeded."""
        self.is_ready = True
        self.send({"kind": "ready", **fields}, payload)

    def refused(self, reason: str) -> None:
        """Say, before `ready`, why the program cannot start, in words for the user."""
        self.send({"kind": "refused", "reason": reason})

    def log(self, level: Level, text: str) -> None:
        """Have a line logged; one that is too long for a header loses its middle."""
        self.send({"kind": "log", "level": Atom(level), "text": clean(text, LONGEST_LOG)})

    def watch_sending(self, seconds: float, on_stall: Callable[[], None]) -> None:
        """Have `on_stall` called, again and again, when sending has waited so long for the peer."""
        self._on_stall = on_stall
        whole = int(seconds)
        with socket.socket(fileno=os.dup(self._descriptor)) as stream:
            interval = struct.pack("@ll", whole, round((seconds - whole) * 1e6))
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, interval)

    def disconnect(self) -> None:
        """Close this process's copy of the descriptor, after a fork. Everything then raises `Closed`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._sending = threading.Lock()  # another thread of the parent may have held it

    def _read(self) -> Frame:
        length, header_length = struct.unpack(">II", self._read_exactly(8))
        if length > self._max_frame:
            raise ProtocolError(f"a frame of {length} bytes is over the limit of {self._max_frame}")
        if header_length > min(MAX_HEADER, length - 4):
            raise ProtocolError(f"a header of {header_length} bytes in a frame of {length}")
        rest = self._read_exactly(length - 4)
        return Frame(_header(rest[:header_length]), rest[header_length:])

    def _read_exactly(self, size: int) -> memoryview:
        view = memoryview(bytearray(size))
        done = 0
        while done < size:
            count = self._checked(os.readv, [view[done:]])
            if count == 0:
                raise Closed
            done += count
        return view.toreadonly()

    def _write(self, parts: list[memoryview]) -> None:
        while parts:
            try:
                written = self._checked(os.writev, parts)
            except BlockingIOError:
                assert self._on_stall
                self._on_stall()
                continue
            while parts and written >= len(parts[0]):
                written -= len(parts.pop(0))
            if parts:
                parts[0] = parts[0][written:]

    def _checked(self, call: Any, buffers: list[memoryview]) -> int:
        if self._descriptor < 0:
            raise Closed
        try:
            return int(call(self._descriptor, buffers))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise Severed(
                "code that runs in this process has closed a descriptor that it had not opened, by which"
                " this process speaks to Comporta: see what calls os.close or os.closerange"
            ) from error


def _header(data: memoryview) -> dict[str, Any]:
    try:
        header = etf.decode(data)
    except etf.DecodeError as error:
        raise ProtocolError(f"a header is not one: {error}") from error
    match header:
        case {"kind": Atom(), "id": int(id)} if not isinstance(id, bool):
            return dict(header)
    raise ProtocolError("a header is not a map with a kind and an id")
