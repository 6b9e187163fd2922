"""Kafka, Cassandra and Redis that are not there, or not any more: waited for, in words and at no cost."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra_proxy import FATES, Proxy
from cluster import SMALL, Cluster
from cluster import cluster as cluster
from conftest import role, tree, wait_until
from groups import Standing, standing
from real_services import RealServices, start, watched
from transforms import IDS, changing, check_changing

from comporta.chaos.processes import resident
from comporta.services import Node, Services

# Two records of one id follow each other; of each thousand, one is bad. It rests while there is a file HOLD.
WIDE = """
import os, time
import comporta as c
pipeline = c.Pipeline("wide", dedup=c.by_id("id", within="24h"), metrics=[
    c.count("lines"), c.sum("numbers", of="number"), c.count("hundreds", by=["hundred"])])
@pipeline.transform
def parse(line):
    while os.path.exists(HOLD):
        time.sleep(0.01)
    number = int(line.split(b" ", 1)[0])
    if number % 1000 == 999:
        raise ValueError("a bad one")
    return {"id": str(number // 2), "number": number // 2, "hundred": number // 200}
"""
SIZE = 10_000  # bytes of a record, of which as many as can be are in flight
IN_FLIGHT = "4MiB"
BACKLOG = 6000  # records that come during an outage: 15 times what may be in flight
MOST_GROWTH = 32 << 20  # bytes of memory that all processes of a run may take more than before
SETTINGS = {
    "COMPORTA_BATCH_BYTES": "256KiB",
    "COMPORTA_SESSION_TIMEOUT": "6s",
    "COMPORTA_MAX_POLL_INTERVAL": "4s",
}
# Seconds: longer than a session, a poll interval, and the time that an answer may take.
OUTAGE = {"killed": 6.0, "frozen": 12.0}
OUTCOMES = ("consumed", "counted", "duplicates", "dead")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("services")
    with watched(folder):
        yield start(folder)


@pytest.fixture
def services(own: Services) -> Iterator[RealServices]:
    """Services of this module's own, whatever the test before has done to them."""
    own.up()
    yield RealServices(own.kafka, own.cassandra, own.redis, own)
    for node in own.nodes:
        if node.process:
            node.resume()


class Watch:
    """A run in the background, its log, and its processes."""

    def __init__(self, cluster: Cluster, file: Path, *words: object, **settings: str) -> None:
        self.log = cluster.workplace.folder / "run.log"
        with self.log.open("w") as output:
            self.process = cluster.start(file, *words, env=SETTINGS | settings, stderr=output)

    def lines(self, text: str = "") -> list[str]:
        return [line for line in self.log.read_text().splitlines() if text in line]

    def memory(self) -> dict[int, int]:
        """The resident bytes of each of its processes."""
        family = {pid for pid, line in tree(self.process.pid).items() if role(line)}
        return {pid: bytes for pid in family if (bytes := resident(pid)) is not None}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0


@contextlib.contextmanager
def away(node: Node, how: str) -> Iterator[None]:
    (node.kill if how == "killed" else node.stop)()
    yield
    (node.start if how == "killed" else node.resume)()


def records(first: int, count: int) -> list[bytes]:
    noise = random.Random(first)
    return [b"%d " % number + noise.randbytes(SIZE) for number in range(first, first + count)]


def check(cluster: Cluster, file: Path, count: int) -> None:
    """Judge by arithmetic what came of the first so many records."""
    ids, bad = count // 2, count // 1000
    assert cluster.counts(file, "lines") == {(): ids}
    assert cluster.counts(file, "numbers") == {(): sum(range(ids))}
    assert cluster.counts(file, "hundreds") == {(hundred,): 100 for hundred in range(ids // 100)}
    ledger = cluster.ledger(file)
    assert [ledger[name] for name in OUTCOMES] == [count, ids, ids - bad, bad]
    assert len(cluster.letters(file)) == bad


def test_what_is_absent_at_the_start_is_waited_for_and_named(cluster: Cluster) -> None:
    file = cluster.workplace.write("wide.py", f"HOLD = ''\n{WIDE}")
    cluster.fill(records(0, 2000))
    cluster.init(file)
    nodes = {node.service: node for node in cluster.services.services.nodes}
    for node in nodes.values():
        node.kill()
    began = time.monotonic()
    run = Watch(cluster, file, "--until-end")
    for service, named in {
        "cassandra": cluster.store,
        "kafka": f"Kafka at {cluster.services.kafka}",
        "redis": f"Redis at {cluster.services.redis}",
    }.items():
        said = wait_until(lambda named=named: run.lines(f"waiting for {named}: "), f"{service} is named", 60)
        assert "nothing listens there" in said[0]
        assert run.process.poll() is None
        nodes[service].start()
    assert run.process.wait(120) == 0
    assert len(run.lines("waiting for")) <= 6 + (time.monotonic() - began) / 5
    assert not run.lines("started again")
    assert not run.lines("Traceback")
    check(cluster, file, 2000)


@pytest.mark.parametrize("service", ["kafka", "cassandra", "redis"])
def test_what_goes_away_in_the_middle_is_waited_for_in_bounded_memory(cluster: Cluster, service: str) -> None:
    hold = cluster.workplace.folder / "hold"
    file = cluster.workplace.write("wide.py", f"HOLD = {str(hold)!r}\n{WIDE}")
    node = cluster.services.services.node(service)
    sent = 2000
    cluster.fill(records(0, sent))
    cluster.init(file)
    run = Watch(cluster, file, "--max-in-flight", IN_FLIGHT)
    wait_until(lambda: cluster.so_far("wide").consumed == sent, "all is counted", 60)
    for how in OUTAGE:
        place = member(cluster, file)
        before, said = run.memory(), len(run.lines("waiting for"))
        more = records(sent, BACKLOG)
        sent += BACKLOG
        if service == "kafka":  # which must have them before it goes away, and not be emptied by then
            hold.touch()
            cluster.fill(more)
        with away(node, how):
            hold.unlink(missing_ok=True)
            if service != "kafka":
                cluster.fill(more)
            most = growth(run, before, OUTAGE[how])
            wait_until(lambda said=said: len(run.lines("waiting for")) > said, "it is said")
            if service != "cassandra":
                assert cluster.so_far("wide").consumed < sent
        assert most < MOST_GROWTH
        wait_until(lambda sent=sent: cluster.so_far("wide").consumed == sent, "it has gone on alone", 120)
        assert run.memory().keys() == before.keys()
        if service == "kafka":
            again = wait_until(lambda: standing(cluster.topic.server, cluster.group(file)), "it is a member")
            assert list(again.members.values()) == list(place.members.values())
        else:
            assert member(cluster, file) == place
    run.stop()
    check(cluster, file, sent)


def member(cluster: Cluster, file: Path) -> Standing:
    found = wait_until(lambda: standing(cluster.topic.server, cluster.group(file)), "the group is stable")
    assert len(found.members) == 1
    return found


def growth(run: Watch, before: dict[int, int], seconds: float) -> int:
    """By how many bytes the processes of a run grow, at most, meanwhile."""
    most = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = run.memory()
        assert now.keys() == before.keys()
        most = max(most, sum(now.values()) - sum(before.values()))
        time.sleep(0.1)
    return most


def test_a_drain_that_cannot_end_is_over_in_time_and_says_so(cluster: Cluster) -> None:
    file = cluster.workplace.write("wide.py", f"HOLD = ''\n{WIDE}")
    cluster.fill(records(0, 2000))
    cluster.init(file)
    run = Watch(cluster, file, COMPORTA_DRAIN_TIMEOUT="2s")
    wait_until(lambda: cluster.so_far("wide").consumed == 2000, "all is counted", 60)
    with away(cluster.services.services.node("cassandra"), "frozen"):
        cluster.fill(records(2000, 2000))
        wait_until(lambda: run.lines("waiting for cassandra://"), "it waits", 60)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(60) == 1
        assert run.lines(
            "error: wide was not drained within 2000 ms: what was not flushed will be done again"
        )
    cluster.finish(file)
    check(cluster, file, 4000)


def test_requests_that_time_out_or_come_late_change_nothing(cluster: Cluster) -> None:
    file = cluster.workplace.write("changing.py", changing(slow=20))
    cluster.fill([b"%d" % number for number in range(12_000)])
    cluster.init(file)
    direct = cluster.store
    node = cluster.services.services.node("cassandra")
    proxy = Proxy((node.host, node.port), random.Random(), lost=0.02, late=0.02, doubtful=0.04, thorough=True)
    cluster.store = direct.replace(node.address, proxy.address)
    is_over = threading.Event()

    def deliver() -> None:
        while not is_over.wait(0.3):
            proxy.deliver()

    delivery = threading.Thread(target=deliver)
    delivery.start()
    try:
        cluster.finish(file, "--flush-every", "100ms", env=SMALL)
    finally:
        is_over.set()
        delivery.join()
        proxy.deliver()
        cluster.store = direct
    every = {(fate, what) for fate in FATES for what in ("comparison", "write")}
    assert every <= proxy.fates.keys()
    check_changing(cluster.workplace, file, "--store", cluster.store)
    ledger = cluster.ledger(file)
    assert (ledger["consumed"], ledger["counted"], ledger["duplicates"]) == (12_000, IDS, 12_000 - IDS)
    proxy.close()
