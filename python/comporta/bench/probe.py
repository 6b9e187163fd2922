"""What a probe is: it finds figures that are not how fast a system counts a topic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

from comporta.services import Services


class Bench(NamedTuple):
    """What there is to measure with: services that are up, a folder that is deleted at the end, a seed."""

    folder: Path
    services: Services
    seed: int
    lines: int
    rounds: int
    cores: int
    say: Callable[[str], None]


class Probe(ABC):
    """Finds one or more figures, by name."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """The services that it needs besides Kafka."""

    @abstractmethod
    def find(self, bench: Bench) -> Mapping[str, float]:
        """The figures. Raises `Failed`."""
