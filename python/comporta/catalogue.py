"""Classes that are found by themselves: those that the modules of a package define."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

Kept = TypeVar("Kept")


def classes(package: ModuleType, base: type[Kept]) -> dict[str, type[Kept]]:
    """The subclasses of `base` that give themselves a `name`, by that."""
    found: dict[str, type[Kept]] = {}
    for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        loaded = importlib.import_module(f"{package.__name__}.{module}")
        for value in vars(loaded).values():
            if inspect.isclass(value) and issubclass(value, base) and "name" in vars(value):
                found[vars(value)["name"]] = value
    return found
