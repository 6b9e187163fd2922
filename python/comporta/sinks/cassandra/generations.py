"""Generations in Cassandra: one row each, and beside them, in the same partition, which is the current one.

All of it is decided by comparison, across all data centres, as it is rare.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.query import Statement

from comporta.definition import Definition
from comporta.errors import StoreError, SupersededError
from comporta.generations import Generation
from comporta.metrics.contract import MetricDefinition
from comporta.payloads import Origin
from comporta.sinks.cassandra.consistency import VARIABLE
from comporta.sinks.cassandra.session import Session
from comporta.sinks.contract import KEPT_LONGER

COLUMNS = "id, current, start, started, definition, retired, origin, datacenter"
CURRENT = "SELECT current FROM generations WHERE pipeline = ? LIMIT 1"
LONGEST_TTL = 20 * 365 * 86400  # seconds, Cassandra's own limit
LAST_EXPIRY = 2**31 - 1 - 86400  # seconds since 1970 UTC; Cassandra refuses what would expire later


@dataclass(frozen=True)
class Facts:
    """What the sink must know of a generation to write its rows. Durations are in seconds."""

    pipeline: str
    retention: int | None
    every: dict[str, int | None]
    kinds: dict[str, str]
    datacenter: str | None

    def ttl(self, metric: str, bucket: int, now: int) -> int | None:
        """Seconds that a row is kept from now on: 0 for ever, None if its time is past."""
        every = self.every.get(metric)
        return 0 if every is None else self.row_ttl(bucket + every, now)

    def row_ttl(self, time: int | None, now: int) -> int | None:
        """The same of an output row, whose time that is, and None if nothing was to expire."""
        if self.retention is None or time is None:
            return 0
        end = time + self.retention + KEPT_LONGER
        if end <= now:
            return None
        return end - now if end - now <= LONGEST_TTL and end <= LAST_EXPIRY else 0


class Generations:
    """The generations of a keyspace."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._facts: dict[str, Facts] = {}
        self._started: set[str] = set()

    def current(self, pipeline: str) -> Generation | None:
        """The pipeline's current generation; whether it has succeeded is for others to say."""
        rows = self._run(f"SELECT {COLUMNS} FROM generations WHERE pipeline = ?", pipeline, serial=True)
        for row in rows:
            if row.id == row.current:
                generation = Generation(
                    pipeline=pipeline,
                    definition=Definition.from_json(row.definition),
                    start=row.start,
                    retired=json.loads(row.retired),
                    id=row.id,
                    started=bool(row.started),
                    origin=row.origin and json.loads(row.origin),
                )
                self._remember(generation, row.datacenter)
                return generation
        return None

    def install(self, generation: Generation, instead_of: str | None) -> bool:
        """Make a generation current if that of the id `instead_of` is."""
        local = self._local()
        (row,) = self._run(
            "BEGIN BATCH"
            " UPDATE generations SET current = ? WHERE pipeline = ? IF current = ?;"
            " INSERT INTO generations (pipeline, id, created, start, definition, retired, origin, datacenter)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?);"
            " APPLY BATCH",
            *(generation.id, generation.pipeline, instead_of),
            *(generation.pipeline, generation.id, int(time.time() * 1000), generation.start),
            *_definition(generation),
            generation.origin and json.dumps(generation.origin),
            local,
        )[:1]
        # Not applied, but ours: an answer was lost, and this was asked again.
        now = self._current_id(generation.pipeline, ConsistencyLevel.SERIAL)
        installed = row.applied or now == generation.id
        if installed:
            self._remember(generation, local)
        return installed

    def originate(self, generation: str, origin: Origin) -> Origin:
        """Decide where a generation began to read, unless that is decided; what holds."""
        (row,) = self._run(
            "UPDATE generations SET origin = ? WHERE pipeline = ? AND id = ?"
            " IF origin = null AND definition != null",
            *(json.dumps(origin), self.facts(generation).pipeline, generation),
        )
        if row.applied:
            return origin
        if getattr(row, "origin", None) is None:
            raise superseded()
        held: Origin = json.loads(row.origin)
        return held

    def redefine(self, generation: Generation) -> None:
        """Write the definition and the retired metrics of a generation anew."""
        self._run(
            "UPDATE generations SET definition = ?, retired = ? WHERE pipeline = ? AND id = ? IF EXISTS",
            *(*_definition(generation), generation.pipeline, generation.id),
        )
        self._remember(generation, self.facts(generation.id).datacenter)

    def start(self, generation: str) -> None:
        """Say that partitions were opened. Raises `SupersededError` if the generation is not current."""
        if generation in self._started:
            return
        (row,) = self._run(
            "UPDATE generations SET started = true WHERE pipeline = ? AND id = ? IF current = ?",
            *(self.facts(generation).pipeline, generation, generation),
        )
        if not row.applied:
            raise superseded()
        self._started.add(generation)

    def check_current(self, generation: str) -> None:
        """Raise `SupersededError` if the generation is not current, `StoreError` as `check_here` does."""
        self.begin_check(generation)()

    def begin_check(self, generation: str) -> Callable[[], None]:
        """Ask whether the generation is current; what is returned awaits the answer, and raises the same."""
        self.check_here(generation)
        pipeline, serial = self.facts(generation).pipeline, self._session.consistency.serial
        answer = self._session.begin(self._session.bind(CURRENT, pipeline, consistency=serial))

        def check() -> None:
            if _current(answer()) != generation:
                raise superseded()

        return check

    def old(self, pipeline: str) -> list[tuple[str, list[str]]]:
        """The generations that are not current, each with the names of its metrics."""
        rows = self._run(f"SELECT {COLUMNS} FROM generations WHERE pipeline = ?", pipeline, serial=True)
        return [
            (
                row.id,
                [metric["name"] for metric in _metrics(row.definition, row.retired)],
            )
            for row in rows
            if row.id is not None and row.id != row.current
        ]

    def delete(self, pipeline: str, generation: str) -> None:
        """Delete a generation's row, after all the rest of it."""
        self._run("DELETE FROM generations WHERE pipeline = ? AND id = ? IF EXISTS", pipeline, generation)
        self._facts.pop(generation, None)

    def facts(self, generation: str, *, metrics: set[str] | None = None) -> Facts:
        """What is known of a generation, read again if it does not hold all of `metrics`.

        Raises `SupersededError` for one that is deleted.
        """
        facts = self._find(generation, metrics or set())
        if facts is None:
            raise superseded()
        return facts

    def _find(self, generation: str, metrics: set[str]) -> Facts | None:
        known = self._facts.get(generation)
        if known is None or not metrics <= known.every.keys():
            for row in self._run("SELECT pipeline, id FROM generations"):
                if row.id == generation:
                    self._read_facts(row.pipeline, generation)
        return self._facts.get(generation)

    def _read_facts(self, pipeline: str, generation: str) -> None:
        (row,) = self._run(
            "SELECT definition, retired, datacenter FROM generations WHERE pipeline = ? AND id = ?",
            *(pipeline, generation),
            serial=True,
        )
        definition = Definition.from_json(row.definition)
        found = Generation(pipeline, definition, retired=json.loads(row.retired), id=generation)
        self._remember(found, row.datacenter)

    def _remember(self, generation: Generation, datacenter: str | None) -> None:
        metrics = generation.retired + generation.definition.metrics
        self._facts[generation.id] = Facts(
            generation.pipeline,
            generation.definition.retention,
            {metric["name"]: metric["every"] for metric in metrics},
            {metric["name"]: metric["kind"] for metric in metrics},
            datacenter,
        )

    def _current_id(self, pipeline: str, serial: int) -> str | None:
        return _current(self._session.execute(self._session.bind(CURRENT, pipeline, consistency=serial)))

    def check_here(self, generation: str) -> Facts | None:
        """Raise `StoreError` where others might compare in another data centre, where both could win.

        What is known of the generation; None of one that is deleted.
        """
        facts, local = self._find(generation, set()), self._local()
        if facts is not None and facts.datacenter != local:
            raise StoreError(
                f"{self._session}: {facts.pipeline!r} was begun with {_asked(facts.datacenter)}, and now"
                f" {VARIABLE} asks for {_asked(local)}: set it as it was, or begin anew with `comporta reset`"
            )
        return facts

    def _local(self) -> str | None:
        """The one data centre that is asked, if only one is."""
        return self._session.datacenter if self._session.consistency.is_local else None

    def _run(self, query: str, *values: object, serial: bool = False) -> list:  # type: ignore[type-arg]
        statement: Statement = self._session.bind(
            query, *values, consistency=ConsistencyLevel.SERIAL if serial else ConsistencyLevel.QUORUM
        )
        if not serial:
            statement.serial_consistency_level = ConsistencyLevel.SERIAL
        return self._session.execute(statement)


def _current(rows: list[Any]) -> str | None:
    return rows[0].current if rows else None


def _asked(datacenter: str | None) -> str:
    return f"LOCAL_QUORUM in the data centre {datacenter}" if datacenter else "QUORUM"


def superseded() -> SupersededError:
    """What is raised where a generation is not the current one any more."""
    return SupersededError("the pipeline was reset while it ran: run it again to count from the new start")


def _metrics(definition: str, retired: str) -> list[MetricDefinition]:
    return [*Definition.from_json(definition).metrics, *json.loads(retired)]


def _definition(generation: Generation) -> tuple[str, str]:
    return generation.definition.to_json(), json.dumps(generation.retired)
