"""The proxy forwards, and is a bad network when told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from comporta.chaos.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that echoes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    proxy = Proxy(listener.getsockname())
    yield proxy
    proxy.close()
    listener.close()


def connect(proxy: Proxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=30)
    connection.sendall(b"one")
    assert connection.recv(3) == b"one"
    return connection


def test_a_reset_is_one_and_the_next_connection_works(proxy: Proxy) -> None:
    connection = connect(proxy)
    assert proxy.reset() == 2
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    connect(proxy)


def test_what_was_swallowed_comes_when_it_has_ended(proxy: Proxy) -> None:
    connection = connect(proxy)
    proxy.is_swallowing = True
    connection.sendall(b"two")
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(3)
    proxy.clear()
    connection.settimeout(30)
    assert connection.recv(3) == b"two"


def test_what_is_refused_is_let_in_again(proxy: Proxy) -> None:
    connection = connect(proxy)
    proxy.refuse()
    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.clear()
    connect(proxy)


def test_slow_is_whole(proxy: Proxy) -> None:
    connection = connect(proxy)
    proxy.delay, proxy.rate = 0.01, 4 << 20
    data = bytes(range(256)) * 4096
    threading.Thread(target=connection.sendall, args=(data,)).start()
    received = b""
    while len(received) < len(data):
        received += connection.recv(1 << 20)
    assert received == data
