"""The BEAM's end of a program: starts it as the BEAM would, exchanges frames with it, and can kill it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from comporta.connection import Closed, Connection, Frame

TIMEOUT = 30.0


class FakeBeam:
    """A program `comporta.NAME` that has been started with a `start` frame."""

    def __init__(self, name: str, payload: bytes = b"", /, **start: Any) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            path = str(Path(folder) / "socket")
            listener.bind(path)
            listener.listen()
            listener.settimeout(TIMEOUT)
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"comporta.{name}"],
                env={**os.environ, "COMPORTA_SOCKET": path, "COMPORTA_TOKEN": "00"},
                stdin=subprocess.DEVNULL,
            )
            peer, _ = listener.accept()
        self._connection = Connection(peer.detach())
        self.logged: list[str] = []
        hello = self.receive()
        assert hello.kind == "hello"
        self.send("start", version=1, payload=payload, **start)

    def send(self, kind: str, id: int = 0, payload: bytes = b"", **header: Any) -> None:
        """Send a frame."""
        self._connection.send({"kind": kind, "id": id, **header}, payload)

    def receive(self) -> Frame:
        """The next frame that is not a line for the log; those are kept in `logged`."""
        while True:
            assert self._connection.wait(TIMEOUT), "the program says nothing"
            frame = self._connection.receive()
            if frame.kind != "log":
                return frame
            self.logged.append(frame.header["text"].decode())

    def until(self, *kinds: str) -> list[Frame]:
        """The next frames up to the first that is of one of these kinds."""
        frames = [self.receive()]
        while frames[-1].kind not in kinds:
            frames.append(self.receive())
        return frames

    def kill(self) -> None:
        """Kill the program as `kill -9` does."""
        self.process.kill()
        self.process.wait(TIMEOUT)

    def disconnect(self) -> None:
        """Close the connection, as the BEAM does to end a program."""
        self._connection.disconnect()

    def ends(self) -> int:
        """The status that the program ends with by itself."""
        try:
            while True:
                self.receive()
        except Closed:
            return self.process.wait(TIMEOUT)

    def __enter__(self) -> FakeBeam:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()
        self.kill()
