"""Ports on this machine's loopback addresses: free ones found, taken ones named."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from typing import NamedTuple

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


class Ports(NamedTuple):
    """The first port of each service."""

    kafka: int
    cassandra: int
    redis: int


def for_services(nodes: int = 1) -> Ports:
    """Free ports for new services of so many nodes. Processes begin to look in different places."""
    chosen: list[int] = []
    for number in range(len(Ports._fields)):
        # As many again are for proxies and for the nodes among themselves.
        taken = [port + more for port in chosen for more in range(2 * nodes)]
        chosen.append(find(["127.0.0.1"], os.getpid() + number * 100, taken))
    return Ports(*chosen)
