"""What has taken effect: read from the store's own tables, as `docs/cassandra.md` shows them."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResponseFuture,
    Session,
)
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    RoundRobinPolicy,
)
from cassandra.query import BoundStatement, SimpleStatement

REPLAY = "replay"  # what is replayed was consumed before
TIMEOUT = 1.0
CHECKPOINTS = "SELECT partition, consumed, upto FROM checkpoints WHERE generation"
SECOND_TRY = 0.2  # seconds until another node is asked as well


class Durable(NamedTuple):
    """How many records have taken effect, and how far it goes in each partition."""

    records: int
    reached: Mapping[str, int]


class SqlitePosition:
    """Of a pipeline in an SQLite file; the partitions are log files, as `part-0`, and how far is in lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> Durable | None:
        """What has taken effect; None where the file cannot be read now."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._connect()) as connection:
            lines: Counter[str] = Counter()
            for shown, consumed in connection.execute(
                "SELECT shown, consumed FROM partitions JOIN generations ON generations.id = generation"
                " WHERE current AND partition <> ?",
                (REPLAY,),
            ):
                lines[Path(shown).name.partition(".")[0]] += consumed  # whatever it was renamed to
            return Durable(lines.total(), lines)
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=TIMEOUT)


class CassandraPosition:
    """Of a pipeline in a keyspace; the partitions are a topic's, as `TOPIC/0`, and how far is an offset.

    Where it is known how many partitions there will be, in one generation that stays, looking is one request
    as soon as all have come: so that looking often takes little from what is looked at.
    """

    def __init__(
        self, hosts: list[str], port: int, keyspace: str, pipeline: str, *, partitions: int | None = None
    ) -> None:
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # that nodes are away is meant
        profile = ExecutionProfile(
            load_balancing_policy=RoundRobinPolicy(),
            consistency_level=ConsistencyLevel.QUORUM,
            request_timeout=TIMEOUT,
            speculative_execution_policy=ConstantSpeculativeExecutionPolicy(SECOND_TRY, 2),
        )
        self._cluster = Cluster(
            hosts,
            port,
            protocol_version=4,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(0.5, None),
        )
        self._keyspace = keyspace
        self._pipeline = pipeline
        self._session: Session | None = None
        self._partitions = partitions
        self._all: BoundStatement | None = None

    def __call__(self) -> Durable | None:
        """What has taken effect; None where Cassandra does not answer now."""
        with contextlib.suppress(DriverException, NoHostAvailable):
            self._session = self._session or self._cluster.connect(self._keyspace)
            rows = self._session.execute(self._all).all() if self._all else self._rows()
            count = sum(int(row.consumed) for row in rows)
            return Durable(count, {row.partition: row.upto for row in rows})
        return None

    def _rows(self) -> list[Any]:
        """The checkpoints, by what is listed now."""
        assert self._session is not None
        current = "SELECT current FROM generations WHERE pipeline = %s LIMIT 1"
        [row] = self._ask(current, self._pipeline).result()
        listed = self._ask("SELECT partition FROM partitions WHERE generation = %s", row.current).result()
        known = [partition for (partition,) in listed if partition != REPLAY]
        if len(known) == self._partitions:
            some = self._session.prepare(f"{CHECKPOINTS} = ? AND partition IN ?")
            some.consistency_level, some.is_idempotent = ConsistencyLevel.QUORUM, True
            self._all = some.bind((row.current, known))
        query = f"{CHECKPOINTS} = %s AND partition = %s"
        asked = [self._ask(query, row.current, partition) for partition in known]
        return [found for answer in asked for found in answer.result()]

    def _ask(self, query: str, *values: object) -> ResponseFuture:
        assert self._session is not None
        return self._session.execute_async(SimpleStatement(query, is_idempotent=True), values)

    def close(self) -> None:
        """Let go of the cluster."""
        self._cluster.shutdown()
