"""A generation: one reading of a source from its start, under one definition of the metrics.

Its random id is part of every key, so that a new generation begins with nothing and an old one is deleted
whole. Metrics may be added to a generation and removed from it; one that means something else than before
cannot go on from the rows that it has.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from typing import Literal

from comporta.definition import Definition
from comporta.errors import DefinitionError
from comporta.metrics.contract import MetricDefinition
from comporta.payloads import Origin

MEANING: tuple[Literal["kind", "of", "by", "every", "k"], ...] = ("kind", "of", "by", "every", "k")
"""The parts of a metric's definition that its rows depend on."""

ID = re.compile(r"[0-9a-f]{16}")
"""A generation's id."""


@dataclass(frozen=True)
class Generation:
    """A generation as the store remembers it.

    `definition` is that of the last run, `retired` are the metrics that it no longer
    has; `start` is where `comporta reset` said to begin (`earliest`, `latest` or a time; None: as the run
    says). Once `started`, every partition has the offset it starts at. It has `succeeded` when a record did
    not end as a letter. `origin` is None for files, and until it is decided.
    """

    pipeline: str
    definition: Definition
    start: str | None = None
    retired: list[MetricDefinition] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    started: bool = False
    succeeded: bool = False
    origin: Origin | None = None


@dataclass(frozen=True)
class Change:
    """What a new definition makes of a generation: it, and what metrics and fields of rows come and go."""

    generation: Generation
    added: list[str]
    removed: list[str]
    fields_added: list[str]
    fields_removed: list[str]


def redefined(generation: Generation, definition: Definition) -> Change:
    """The generation as it goes on under `definition`.

    Raises `DefinitionError` if a metric means something else than the rows that the generation has under its
    name, those of metrics removed earlier included.
    """
    before = {metric["name"]: metric for metric in generation.definition.metrics}
    retired = {metric["name"]: metric for metric in generation.retired}
    now = {metric["name"]: metric for metric in definition.metrics}
    for name, metric in now.items():
        check_meaning(metric, before.get(name) or retired.get(name), definition.file)
    removed = [name for name in before if name not in now]
    kept = [metric for name, metric in (retired | before).items() if name not in now]
    return Change(
        replace(generation, definition=definition, retired=kept),
        [name for name in now if name not in before],
        removed,
        fields_added=[field for field in definition.rows if field not in generation.definition.rows],
        fields_removed=[field for field in generation.definition.rows if field not in definition.rows],
    )


def check_meaning(metric: MetricDefinition, before: MetricDefinition | None, file: str) -> None:
    """Raise `DefinitionError` if a metric does not mean what its rows were counted as."""
    changed = [part for part in MEANING if before is not None and metric[part] != before[part]]
    if before is not None and changed:
        difference = ", ".join(f"{part} was {before[part]!r} and is {metric[part]!r}" for part in changed)
        raise DefinitionError(
            f"the metric {metric['name']!r} was counted otherwise until now ({difference}):"
            f" give it another name, or count everything again with `comporta reset {file}`",
            file=file,
        )
