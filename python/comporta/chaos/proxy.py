"""A TCP proxy that can be told to be a bad network: to reset, delay, swallow, throttle or refuse."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

CHUNK = 64 << 10
LINGER = struct.pack("ii", 1, 0)  # a close that resets instead of finishing


class Proxy:
    """Listens on 127.0.0.1 at `port` (0: a free one) and forwards to `target`, as well as it is told to.

    `delay` is in seconds for each chunk, `rate` in bytes a second for each connection and direction (0: as
    fast as it goes); while `is_swallowing`, what arrives is kept, and passed on only once that has ended.
    """

    def __init__(self, target: tuple[str, int], port: int = 0) -> None:
        self.delay = 0.0
        self.rate = 0
        self.is_swallowing = False
        self._target = target
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._is_refusing = False
        self._listener = _bound(port)
        self.port: int = self._listener.getsockname()[1]
        self._listen()

    @property
    def address(self) -> str:
        """Where clients find it: `HOST:PORT`."""
        return f"127.0.0.1:{self.port}"

    def clear(self) -> None:
        """Be a good network again."""
        self.delay, self.rate, self.is_swallowing = 0.0, 0, False
        if self._is_refusing:
            self._listen()

    def reset(self) -> int:
        """Reset every connection; how many there were, both sides counted."""
        with self._lock:
            victims, self._connections = self._connections, set()
        for connection in victims:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            _close(connection, socket.SHUT_RD)  # which sends nothing, so that what follows is the reset
        return len(victims)

    def refuse(self) -> None:
        """Reset every connection and refuse new ones, as where nobody listens, until `clear`."""
        self.close()
        self._listener = _bound(self.port)  # or another program could take the port meanwhile
        self._is_refusing = True

    def close(self) -> None:
        """Listen and forward no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or a thread that waits in accept would take one more
        self._listener.close()
        self.reset()

    def _listen(self) -> None:
        self._is_refusing = False
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            client.close()
            return
        server.settimeout(None)
        for connection in (client, server):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._connections |= {client, server}
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self.delay:
                    time.sleep(self.delay)
                if self.rate:
                    time.sleep(len(data) / self.rate)
                while self.is_swallowing:
                    time.sleep(0.02)
                target.sendall(data)
        self._finish(source)
        self._finish(target)

    def _finish(self, connection: socket.socket) -> None:
        with self._lock:
            if connection not in self._connections:
                return  # it is being reset
            self._connections.remove(connection)
        _close(connection, socket.SHUT_RDWR)


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # in spite of connections that are ending
    found.bind(("127.0.0.1", port))
    return found


def _close(connection: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(how)  # or a thread that waits in recv would wait on
    connection.close()
