"""Comporta itself, by its command, in several ways."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from comporta.bench import measure
from comporta.bench.job import Totals
from comporta.bench.system import Failed, Job, Result, Spent, System
from comporta.chaos.member import COMMAND
from comporta.chaos.results import CommandFailed, Results, comporta

PIPELINES = Path(__file__).resolve().parents[1] / "pipelines"
LONGEST_KEYSPACE = 48  # characters that Cassandra allows
IDLE_SECONDS = 120.0  # that a run with nothing to do may take


class Comporta(System):
    """A record transform, into SQLite.

    Its time is that of `comporta run --until-end` as a whole, less what the same command takes once there is
    nothing left to do.
    """

    name = "comporta"
    title = "Comporta, record transform, into SQLite"
    pipeline: ClassVar[str] = "count"
    is_from_file: ClassVar[bool] = False
    deduplicates: ClassVar[bool] = False

    def prepare(self, job: Job) -> None:
        if "cassandra" in self.needs:
            self._ask("init", [self.file, *self.store(job), *self.source(job)], job)

    def commands(self, job: Job) -> list[list[str]]:
        words = [*COMMAND, "run", self.file, *self.source(job), *self.store(job), "--until-end"]
        words += ["--workers", str(job.processes)]
        if self.deduplicates:
            words += ["--claims", f"redis://{job.redis}"]
        return [words]

    def result(self, job: Job, spent: Spent) -> Result:
        idle = measure.run(self.commands(job), job.folder, IDLE_SECONDS)
        seconds = (spent.ended - spent.began) - (idle.ended - idle.began)
        return Result(seconds, self.totals(job))

    def totals(self, job: Job) -> Totals:
        """What it says that it has counted."""
        found: defaultdict[tuple[int, int, str], dict[str, int]] = defaultdict(dict)
        results = Results(Path(self.file), self.store(job), self.source(job), job.folder, os.environ)
        try:
            for metric in ("requests", "bytes"):
                for (start, status, method), value in results.values(metric).items():
                    minute = int(datetime.fromisoformat(start.replace("Z", "+00:00")).timestamp())
                    found[minute, int(status), method][metric] = value
        except CommandFailed as error:
            raise Failed(str(error)) from None
        return {group: (values["requests"], values["bytes"]) for group, values in found.items()}

    @property
    def file(self) -> str:
        """The pipeline."""
        return str(PIPELINES / f"{self.pipeline}.py")

    def source(self, job: Job) -> list[str]:
        """Where it reads, as words of the command."""
        if self.is_from_file:
            return ["--source", f"file:{job.file}"]
        return ["--source", f"kafka://{job.kafka}/{job.topic}?group={job.group}"]

    def store(self, job: Job) -> list[str]:
        """Where it writes, as words of the command."""
        if "cassandra" in self.needs:
            return ["--store", f"cassandra://{job.cassandra}/{self.keyspace(job)}"]
        return ["--store", f"sqlite:{job.folder}/store.db"]

    def keyspace(self, job: Job) -> str:
        """The keyspace of a run, in Cassandra."""
        return re.sub(r"\W", "_", job.group)[-LONGEST_KEYSPACE:]

    def _ask(self, command: str, words: list[str], job: Job) -> str:
        try:
            return comporta([command, *words], job.folder, os.environ)
        except CommandFailed as error:
            raise Failed(str(error)) from None


class IntoCassandra(Comporta):
    """A record transform, into Cassandra."""

    name = "comporta-cassandra"
    title = "Comporta, record transform, into Cassandra"
    needs = ("cassandra",)


class ByPath(IntoCassandra):
    """Each path of each minute is a group besides."""

    name = "comporta-paths"
    title = "Comporta, by path besides, into Cassandra"
    pipeline = "paths"


class Groups(Comporta):
    """Each path is a group besides, for all time."""

    name = "comporta-groups"
    title = "Comporta, with a group for each path besides, into SQLite"
    pipeline = "groups"


class Batch(Comporta):
    """A batch transform."""

    name = "comporta-batch"
    title = "Comporta, batch transform (polars), into SQLite"
    pipeline = "batch"


class Nothing(Comporta):
    """Record batches are counted by their headers."""

    name = "comporta-nothing"
    title = "Comporta with nothing to compute"
    pipeline = "nothing"
    only_counts = True

    def totals(self, job: Job) -> Totals:
        words = [self.file, *self.store(job), *self.source(job), "--format", "json"]
        whole = json.loads(self._ask("audit", words, job).splitlines()[-1])
        return {(0, 0, ""): (whole["consumed"], 0)}


class Dedup(Comporta):
    """Each line is claimed in Redis."""

    name = "comporta-dedup"
    title = "Comporta, every line deduplicated in Redis, into SQLite"
    pipeline = "dedup"
    deduplicates = True
    needs = ("redis",)


class FromFile(Comporta):
    """The same lines from a file."""

    name = "comporta-file"
    title = "Comporta, embedded, from a file into SQLite"
    is_from_file = True


class Slow(Comporta):
    """A transform of 50 µs a line."""

    name = "comporta-slow"
    title = "Comporta, a transform of 50 µs a line"
    pipeline = "slow"
