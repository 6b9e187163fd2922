"""All workloads and faults: the classes that the files of `workloads/` and `faults/` define."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from comporta.catalogue import classes
from comporta.chaos import faults, workloads
from comporta.chaos.fault import Fault
from comporta.chaos.workload import Kind, Workload
from comporta.errors import UsageError

Kept = TypeVar("Kept", Fault, Workload)


def all_workloads() -> dict[str, type[Workload]]:
    """Every workload by its name."""
    return classes(workloads, Workload)  # type: ignore[type-abstract]


def all_faults() -> dict[str, type[Fault]]:
    """Every fault by its name."""
    return classes(faults, Fault)  # type: ignore[type-abstract]


def chosen(names: Sequence[str] | None, known: dict[str, type[Kept]], kind: Kind) -> list[type[Kept]]:
    """Those of the names, or all, that a kind of system can have.

    Raises `UsageError` for a name that is none, or not for that kind.
    """
    if not names:
        return [each for each in known.values() if kind in each.systems]
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is not known; there are {', '.join(known)}")
        if kind not in known[name].systems:
            right = " or ".join(known[name].systems)
            raise UsageError(f"{name!r} is for a system that is {right}, not {kind}")
    return [known[name] for name in dict.fromkeys(names)]
