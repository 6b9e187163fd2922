"""How many records have taken effect: read from the store's own tables, as `docs/cassandra.md` shows them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.policies import ConstantReconnectionPolicy, RoundRobinPolicy

REPLAY = "replay"  # what is replayed was consumed before
TIMEOUT = 1.0


class SqlitePosition:
    """Of a pipeline in an SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> int | None:
        """The records consumed; None where the file cannot be read now."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._connect()) as connection:
            (count,) = connection.execute(
                "SELECT sum(consumed) FROM partitions JOIN generations ON generations.id = generation"
                " WHERE current AND partition <> ?",
                (REPLAY,),
            ).fetchone()
            return count or 0
        return None

    def close(self) -> None:
        """Nothing is held open."""

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=TIMEOUT)


class CassandraPosition:
    """Of a pipeline in a keyspace."""

    def __init__(self, hosts: list[str], port: int, keyspace: str, pipeline: str) -> None:
        profile = ExecutionProfile(
            load_balancing_policy=RoundRobinPolicy(),
            consistency_level=ConsistencyLevel.QUORUM,
            request_timeout=TIMEOUT,
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

    def __call__(self) -> int | None:
        """The records consumed; None where Cassandra does not answer now."""
        with contextlib.suppress(DriverException, NoHostAvailable):
            self._session = self._session or self._cluster.connect(self._keyspace)
            [row] = self._session.execute(
                "SELECT current FROM generations WHERE pipeline = %s LIMIT 1", (self._pipeline,)
            )
            known = self._session.execute(
                "SELECT partition FROM partitions WHERE generation = %s", (row.current,)
            )
            counts = [
                self._session.execute_async(
                    "SELECT consumed FROM checkpoints WHERE generation = %s AND partition = %s",
                    (row.current, partition),
                )
                for (partition,) in known
                if partition != REPLAY
            ]
            return sum(int(found.consumed) for count in counts for found in count.result())
        return None

    def close(self) -> None:
        """Let go of the cluster."""
        self._cluster.shutdown()
