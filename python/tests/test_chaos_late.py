"""A member is frozen once something of its own is decided, and woken once others have gone on with that."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from comporta import consumer_groups
from comporta.chaos import processes
from comporta.chaos.fault import Breach
from comporta.chaos.faults import late
from comporta.chaos.faults.late import DELAY, ZombieFlush
from comporta.chaos.positions import Durable

MEMBERS = [
    SimpleNamespace(name="member-1", instance="host-1", pids=lambda role: [1]),
    SimpleNamespace(name="member-2", instance="host-2", pids=lambda role: [2]),
]
Upto = tuple[int, int, int]
"""How far the partitions are: member-2 has the last two."""


class Cluster:
    """As much of one as the fault touches: its group, its proxy and its position, too."""

    topic = "t"
    services = SimpleNamespace(kafka="127.0.0.1:9092")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *looks: Upto) -> None:
        self.cluster = self.group = self
        self.proxies = {"cassandra": self}
        self.delay = 0.0
        self.done: list[str] = []
        self._looks: Iterator[Upto] = chain(looks, repeat(looks[-1]))
        self._seen: Upto = looks[0]

        def send(pid: int, number: int) -> None:
            self.done.append(f"{number.name} {pid}, {self.delay:g} s, {self._seen}")  # type: ignore[attr-defined]

        def leave(address: object, group: str, instances: list[str]) -> None:
            self.done.append(f"{instances} left {group}")

        monkeypatch.setattr(processes, "send", send)
        monkeypatch.setattr(consumer_groups, "leave", leave)

    @property
    def members(self) -> Members:
        return Members(MEMBERS)

    def wait_for(self, holds: Callable[[dict[str, set[int]]], bool], seconds: float) -> bool:
        return holds(self.members())

    def position(self) -> Cluster:
        return self

    def __call__(self) -> Durable:
        self._seen = next(self._looks)
        return Durable(0, {f"t/{number}": upto for number, upto in enumerate(self._seen)})

    def close(self) -> None:
        """Nothing is held open."""

    def clear(self) -> None:
        self.delay = 0.0


class Members(list[SimpleNamespace]):
    """Of a system as a list, of a group by a call."""

    def __call__(self) -> dict[str, set[int]]:
        return {"host-1-aa": {0}, "host-2-bb": {1, 2}}


def run(cluster: Cluster) -> list[str]:
    fault = ZombieFlush(random.Random(0))
    assert fault.inject(cluster) == "all processes of member-2"  # type: ignore[arg-type]
    fault.heal(cluster)  # type: ignore[arg-type]
    return cluster.done


def test_it_is_woken_once_others_have_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    before, decided, after = (1, 1, 1), (1, 5, 1), (9, 6, 2)
    cluster = Cluster(monkeypatch, before, before, decided, decided, (9, 5, 2), (9, 6, 1), after)
    assert run(cluster) == [
        f"SIGSTOP 2, {DELAY:g} s, {decided}",
        "['host-2'] left t",
        f"SIGCONT 2, 0 s, {after}",
    ]


def test_that_nobody_takes_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "TAKEN", 0.1)
    cluster = Cluster(monkeypatch, (1, 1, 1), (1, 5, 1), (9, 5, 1))
    with pytest.raises(Breach, match="others had not taken its partitions"):
        run(cluster)
    assert cluster.done[-1].startswith("SIGCONT 2")
