"""Several trials in a row on one set of services, which are brought up for them unless they are given."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from comporta.chaos import report, timeline
from comporta.chaos.fault import Fault
from comporta.chaos.proxy import Proxy
from comporta.chaos.schedule import each_process, schedule
from comporta.chaos.system import Cluster, Embedded, System
from comporta.chaos.trial import Say, Trial, run
from comporta.chaos.workload import Kind, Workload
from comporta.errors import ComportaError, UsageError
from comporta.services import Services, ports

MEMBERS = 2
NOT_OWN = "it is for services that chaos brings up itself, without --services"


@dataclass(frozen=True)
class Settings:
    """What is to be run. `minutes` are shared out among the workloads; after so many
    `rounds` of all faults each ends, too. With `each`, every process is ended once by those faults that do
    that, however long it takes.

    `given` is a folder of services that are up; without it the suite brings up its own, in `folder`, and
    ends them.
    """

    kind: Kind
    workloads: Sequence[type[Workload]]
    faults: Sequence[type[Fault]]
    seed: int
    minutes: float
    folder: Path
    rounds: int | None = None
    given: Path | None = None
    each: bool = False


def trials(settings: Settings, say: Say) -> Iterator[Trial]:
    """Run each workload; its report and its timeline are in its folder once it has been given."""
    seconds = math.inf if settings.each else settings.minutes * 60 / len(settings.workloads)
    with _services(settings, say) as (services, proxies):
        for workload in settings.workloads:
            folder = settings.folder / workload.name
            say("trial", {"workload": workload.name, "system": settings.kind, "folder": str(folder)})
            system = _system(settings, workload(), folder, services, proxies)
            faults = _applicable(settings, workload, say)
            for fault in faults:
                fault.prepare(system)
            if settings.each:
                planned = each_process(settings.seed, system, faults)
            else:
                most = settings.rounds and settings.rounds * len(faults)
                planned = islice(schedule(settings.seed, workload.name, faults), most)
            with contextlib.closing(system):
                trial = run(system, planned, settings.seed, seconds, say)
            (folder / "report.json").write_text(json.dumps(report.as_json(trial), indent=2) + "\n")
            if not timeline.draw(trial, folder / "timeline.svg"):
                say("note", {"text": "no timeline is drawn: install comporta[chaos] for it"})
            for proxy in proxies.values():
                proxy.clear()
            yield trial


def _applicable(settings: Settings, workload: type[Workload], say: Say) -> list[type[Fault]]:
    found = []
    for fault in settings.faults:
        if not fault.suits(workload):
            continue
        lacking = NOT_OWN if settings.given and fault.needs_own else fault.missing()
        if lacking:
            say("note", {"text": f"{fault.name} is left out: {lacking}"})
        else:
            found.append(fault)
    if not found:
        raise ComportaError(f"none of the faults can be injected into {workload.name} on this machine")
    return found


def _system(
    settings: Settings,
    workload: Workload,
    folder: Path,
    services: Services | None,
    proxies: Mapping[str, Proxy],
) -> System:
    if services is None:
        return Embedded(workload, folder)
    return Cluster(workload, folder, services, proxies, MEMBERS)


@contextlib.contextmanager
def _services(settings: Settings, say: Say) -> Iterator[tuple[Services | None, dict[str, Proxy]]]:
    """The services of this kind of system, up, and the proxies in front of them."""
    if settings.kind == "embedded":
        yield None, {}
        return
    if settings.given:
        services = Services(settings.given)
        _check_given(services, settings)
        yield services, {}
        return
    nodes = 3 if settings.kind == "replicated" else 1
    services = _own(settings.folder / "services", nodes, say)
    try:
        services.up()
        proxies = _proxies(services) if nodes == 1 else {}
        yield services, proxies
        for proxy in proxies.values():
            proxy.close()
    finally:
        services.down(delete=True)


def _own(folder: Path, nodes: int, say: Say) -> Services:
    kafka, cassandra, redis = ports.for_services(nodes)
    return Services(
        folder,
        nodes=nodes,
        kafka_port=kafka,
        cassandra_port=cassandra,
        redis_port=redis,
        is_proxied=nodes == 1,
        redis_replicas=0 if nodes == 1 else 1,
        say=lambda line: say("note", {"text": line}),
    )


def _proxies(services: Services) -> dict[str, Proxy]:
    """A proxy in front of each service; that of Kafka is where its brokers send clients."""
    kafka, cassandra, redis = (services.node(service) for service in ("kafka", "cassandra", "redis"))
    behind, before = services.proxied
    return {
        "kafka": Proxy((kafka.host, behind), before),
        "cassandra": Proxy((cassandra.host, cassandra.port)),
        "redis": Proxy((redis.host, redis.port)),
    }


def _check_given(services: Services, settings: Settings) -> None:
    """Raise `UsageError` unless the services are up, of the right number, and on loopback only."""
    nodes = services.nodes
    if not nodes or any(node.state != "ready" for node in nodes):
        raise UsageError(f"the services in {services.folder} are not up: `comporta services up` starts them")
    if any(not ipaddress.ip_address(node.host).is_loopback for node in nodes):
        raise UsageError("chaos is for services on loopback addresses alone")
    has_three = any(node.number > 1 for node in nodes)
    if has_three != (settings.kind == "replicated"):
        raise UsageError(f"the services in {services.folder} are not of the system {settings.kind!r}")
