"""A seed repeats a schedule, and the catalogue finds what the folders have."""

from __future__ import annotations

from itertools import islice
from typing import cast

import pytest

from comporta.chaos import catalogue
from comporta.chaos.fault import Fault
from comporta.chaos.faults.kill import KillBeam, KillRelease, KillStore
from comporta.chaos.schedule import each_process, schedule
from comporta.chaos.system import System
from comporta.chaos.workload import SYSTEMS
from comporta.chaos.workloads.counting import Counting
from comporta.errors import UsageError


def faults() -> list[type[Fault]]:
    return list(catalogue.all_faults().values())


def drawn(seed: int, workload: str = "counting") -> list[tuple[float, str, float]]:
    planned = islice(schedule(seed, workload, faults()), 3 * len(faults()))
    return [(pause, fault.name, fault.chance.random()) for pause, fault in planned]


def test_a_seed_repeats_its_schedule() -> None:
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(7) != drawn(7, "tiny")


class TwoMembers:
    """As much of a system as a schedule asks for."""

    members = ("one", "other")
    workload = Counting


def test_each_process_is_ended_once() -> None:
    kills = [KillBeam, KillStore, KillRelease]
    system = cast(System, TwoMembers())
    ended = [
        (fault.name, fault.pick(["one", "other"]))
        for _, fault in each_process(7, system, cast(list[type[Fault]], kills))
    ]
    assert sorted(ended) == [
        (name, member) for name in ("kill-beam", "kill-store") for member in ("one", "other")
    ]


def test_every_fault_has_its_turn_before_any_comes_again() -> None:
    names = [name for _, name, _ in drawn(7)]
    assert sorted(names[: len(faults())]) == sorted(fault.name for fault in faults())


def test_every_workload_and_every_fault_is_for_some_system() -> None:
    for found in (catalogue.all_workloads(), catalogue.all_faults()):
        assert found
        for name, each in found.items():
            assert each.name == name
            assert set(each.systems) <= set(SYSTEMS)
            assert each.systems


def test_a_name_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(UsageError, match=r"'nothing' is not known; there are .*kill-beam"):
        catalogue.chosen(["nothing"], catalogue.all_faults(), "cluster")
    assert [fault.name for fault in catalogue.chosen(["kill-beam"], catalogue.all_faults(), "embedded")] == [
        "kill-beam"
    ]
