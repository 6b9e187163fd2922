"""What a folder of services consists of, kept in it: how many nodes, which services, which ports."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from comporta.errors import ComportaError, UsageError
from comporta.services import ports

FILE = "services.json"
PORTS = {"kafka": 9092, "cassandra": 9042, "redis": 6379}
SIZES = (1, 3)


@dataclass
class Plan:
    """Which nodes there are and where they listen.

    `clients` has the first port for clients of each service; `inner` the ports that the nodes use among
    themselves, by node; `cluster` is the id of the Kafka cluster. `proxied`, if it has any, are two ports:
    one at which the only broker listens besides, and the one, a proxy's, at which it tells clients of the
    first to find it. `replicas` is how many each master of the Redis cluster has.
    """

    nodes: int
    clients: dict[str, int] = field(default_factory=dict)
    inner: dict[str, int] = field(default_factory=dict)
    cluster: str = ""
    proxied: list[int] = field(default_factory=list)
    replicas: int = 0

    def numbers(self, service: str) -> range:
        """The nodes of each service are numbered from 1; replicas of Redis come last."""
        count = self.nodes * (1 + self.replicas) if service == "redis" else self.nodes
        return range(1, count + 1)

    def client(self, service: str, number: int) -> tuple[str, int]:
        """The address and the port that clients of a node use.

        A node of Cassandra has an address of its own, for all of them listen on the same port.
        """
        first = self.clients[service]
        if service == "cassandra":
            return f"127.0.0.{number}", first
        return "127.0.0.1", first + number - 1

    def listening(self, service: str, number: int) -> list[tuple[str, int]]:
        """All addresses and ports on which a node listens."""
        address, port = self.client(service, number)
        inner = self.inner.get(f"{service}-{number}")
        more = [inner] if inner else []
        if service == "kafka":
            more += self.proxied[:1]
        return [(address, port), *((address, other) for other in more)]


def read(folder: Path) -> Plan | None:
    """The plan of the services in a folder, or None where there are none. Raises `ComportaError`."""
    try:
        return Plan(**json.loads((folder / FILE).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ComportaError(f"{folder / FILE} cannot be read: {error}") from error


def write(folder: Path, plan: Plan) -> None:
    """Keep the plan in the folder."""
    temporary = folder / f"{FILE}.new"
    temporary.write_text(json.dumps(asdict(plan), indent=2) + "\n")
    temporary.replace(folder / FILE)


def extended(
    plan: Plan | None,
    nodes: int | None,
    clients: Mapping[str, int | None],
    services: Collection[str],
    *,
    is_proxied: bool = False,
    replicas: int = 0,
) -> Plan:
    """The plan with these services in it, too; `plan` is what the folder has already.

    `nodes` and `clients` (the ports by service) are what was asked for, None where that was nothing. Raises
    `UsageError` where that cannot be, or is not what the folder has.
    """
    _check(nodes, clients, services)
    if plan is None:
        plan = Plan(nodes or 1, cluster=_cluster(), replicas=replicas)
    if nodes not in (None, plan.nodes):
        raise UsageError(f"the folder has services of {_counted(plan.nodes)}, not {nodes}: {ELSEWHERE}")
    known = dict(plan.clients)
    for service in services:
        asked, kept = clients.get(service), known.get(service)
        if asked is not None and kept is not None and asked != kept:
            raise UsageError(f"the folder has {service} on port {kept}, not {asked}: {ELSEWHERE}")
        known[service] = kept or asked or PORTS[service]
    plan = replace(plan, clients=known, inner=dict(plan.inner))
    taken = [place for service in known for place in _clients(plan, service)]
    for address, port in taken:
        if taken.count((address, port)) > 1:
            raise UsageError(f"port {port} is given to two nodes: choose others")
    for service in known:
        _add_inner(plan, service)
    if is_proxied and not plan.proxied:
        for _ in range(2):
            plan.proxied.append(ports.find(["127.0.0.1"], plan.clients["kafka"], _taken(plan)))
    return plan


ELSEWHERE = "name another --folder, or delete these with `comporta services down --delete`"


def without_inner(plan: Plan, service: str) -> Plan:
    """The plan with the inner ports of a service chosen anew; only a service of one node can bear that."""
    inner = {name: port for name, port in plan.inner.items() if name.rpartition("-")[0] != service}
    plan = replace(plan, inner=inner)
    _add_inner(plan, service)
    return plan


def _check(nodes: int | None, clients: Mapping[str, int | None], services: Collection[str]) -> None:
    if nodes not in (None, *SIZES):
        raise UsageError(f"services have 1 or 3 nodes, not {nodes}")
    unknown = [name for name in [*services, *clients] if name not in PORTS]
    if unknown or not services:
        raise UsageError(f"{', '.join(unknown) or 'nothing'} is not among the services: {', '.join(PORTS)}")
    for port in clients.values():
        if port is not None and not 0 < port < 65_534:
            raise UsageError(f"{port} is not a port; give one from 1 to 65,533")


def _clients(plan: Plan, service: str) -> Iterator[tuple[str, int]]:
    return (plan.client(service, number) for number in plan.numbers(service))


def _add_inner(plan: Plan, service: str) -> None:
    names = [f"{service}-{number}" for number in plan.numbers(service)]
    if names[0] in plan.inner or (service == "redis" and plan.nodes == 1):
        return
    near = plan.clients[service]
    taken = _taken(plan)
    if service == "cassandra":  # its nodes know each other by address, on one port
        addresses = [address for address, _ in _clients(plan, service)]
        plan.inner.update(dict.fromkeys(names, ports.find(addresses, near, taken)))
        return
    for name in names:
        plan.inner[name] = ports.find(["127.0.0.1"], near, taken)
        taken.add(plan.inner[name])


def _taken(plan: Plan) -> set[int]:
    clients = {port for name in plan.clients for _, port in _clients(plan, name)}
    return {*plan.inner.values(), *clients, *plan.proxied}


def _cluster() -> str:
    # As Kafka writes ids: URL-safe base64 without padding. It refuses one that begins with a dash.
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _counted(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"
