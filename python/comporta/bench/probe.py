"""What runs have to measure with, and what a probe is: it finds figures other than lines a second."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

from comporta.bench import topics
from comporta.bench.job import Totals, expected
from comporta.bench.system import Job
from comporta.bench.topics import Load
from comporta.services import Services


class Loaded(NamedTuple):
    """A load as it is at hand, and what is right for it."""

    topic: str
    partitions: int
    lines: int
    file: Path
    totals: Totals


@dataclass
class Bench:
    """Services that are up, a folder that is deleted at the end, and loads, each made at its first use."""

    folder: Path
    services: Services
    seed: int
    lines: int
    rounds: int
    cores: int
    say: Callable[[str], None]
    _loaded: dict[Load, Loaded] = field(default_factory=dict)

    def load(self, load: Load) -> Loaded:
        """A topic and a file of a load."""
        if load not in self._loaded:
            lines = load.lines(self.lines)
            self.say(f"making a topic of {lines:,} lines: {load.name}")
            topic, file = f"{self.folder.name}-{load.name}", self.folder / f"{load.name}.log"
            topics.make(self.services.kafka, topic, load, self.seed, lines, file)
            self._loaded[load] = Loaded(topic, load.partitions, lines, file, expected(self.seed, lines))
        return self._loaded[load]

    def job(self, loaded: Loaded, name: str, needs: tuple[str, ...], processes: int | None = None) -> Job:
        """The job of counting a load, in a new folder, with the services that it needs."""
        folder = self.folder / name
        folder.mkdir()
        services = self.services
        return Job(
            services.kafka,
            loaded.topic,
            loaded.partitions,
            loaded.lines,
            processes or self.cores,
            folder,
            loaded.file,
            services.cassandra if "cassandra" in needs else "",
            services.redis if "redis" in needs else "",
        )


class Probe(ABC):
    """Finds one or more figures, by name."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """The services that it needs besides Kafka."""

    @abstractmethod
    def find(self, bench: Bench) -> Mapping[str, float]:
        """The figures. Raises `Failed`."""
