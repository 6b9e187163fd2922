"""Why a node lets nobody in, where the driver knows only that its connection failed."""

from __future__ import annotations

import contextlib
import socket
import ssl

from comporta import tls

# Of the native protocol, version 4: what may be asked before anything else, and how any answer begins.
OPTIONS, ANSWER = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0]), bytes([0x84])


def refusal(host: str, port: int, context: ssl.SSLContext | None) -> str | None:
    """What will not mend itself, in words; None where there is no such thing."""
    if context is None:
        if _is_foreign(host, port) and tls.is_spoken(host, port):
            return "it speaks TLS: set COMPORTA_CASSANDRA_TLS to on"
        return None
    try:
        with (
            socket.create_connection((host, port), tls.TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=plain.getpeername()[0]) as connection,
        ):
            connection.sendall(OPTIONS)
            connection.recv(1)  # only now is it known whether our certificate is taken
    except ssl.SSLError as error:
        return tls.refusal("cassandra", error)
    except OSError:
        pass
    return None


def _is_foreign(host: str, port: int) -> bool:
    """Whether it listens, and closes the connection or talks of something else."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), tls.TIMEOUT) as connection:
        try:
            connection.sendall(OPTIONS)
            return connection.recv(1) != ANSWER
        except ConnectionError:
            return True
    return False
