"""Ports on this machine's loopback addresses: free ones found, taken ones named."""

from __future__ import annotations

import socket
from collections.abc import Collection

from comporta.errors import ComportaError

# Below the ports that Linux gives to outgoing connections, which come and go.
FIRST, LAST = 20_000, 32_000


def is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def find(addresses: Collection[str], near: int, but: Collection[int] = ()) -> int:
    """A port that is free on all of the addresses and is none of `but`.

    `near` is any number: sets of services with different ports begin to look in different places.
    """
    size = LAST - FIRST
    for step in range(size):
        port = FIRST + (near * 13 + step) % size
        if port not in but and all(is_free(address, port) for address in addresses):
            return port
    raise ComportaError(f"no port between {FIRST} and {LAST} is free on {', '.join(addresses)}")
