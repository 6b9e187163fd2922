"""A connection to a Cassandra cluster that waits for one that is away.

Whatever cannot be answered now (no node reachable, too few replicas, a timeout) is asked again, unchanged,
until it is; so every request made here must be one that may be carried out twice, and later than another.
What Cassandra refuses raises `StoreError`, with its reason.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from cassandra import (
    AuthenticationFailed,
    CoordinationFailure,
    DriverException,
    OperationTimedOut,
    ProtocolVersion,
    Timeout,
    Unavailable,
    UnresolvableContactPoints,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import (
    EXEC_PROFILE_DEFAULT,
    Cluster,
    ExecutionProfile,
    NoHostAvailable,
    ResponseFuture,
)
from cassandra.connection import ConnectionBusy, ConnectionException, ProtocolError
from cassandra.policies import (
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    ExponentialReconnectionPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import (
    ErrorMessage,
    IsBootstrappingErrorMessage,
    OverloadedErrorMessage,
    ServerError,
    TruncateError,
)
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement, Statement

from comporta.addresses import CassandraAddress
from comporta.errors import StoreError
from comporta.security import Security, security
from comporta.sinks.cassandra import probe
from comporta.sinks.cassandra.consistency import Consistency, consistency
from comporta.waiting import LONGEST_PAUSE, Notice, Pauses, unreachable

logger = logging.getLogger("comporta.sinks.cassandra")

Answer = TypeVar("Answer")

TIMEOUT = 10.0  # seconds until a request counts as unanswered
SECOND_TRY = 2.0  # seconds until another node is asked as well
IN_FLIGHT = 32  # requests of one caller that wait for answers
BATCH_BYTES = 64 << 10
BATCH_ROWS = 512
CAS_WRITE_UNKNOWN = 0x1700  # of the native protocol, version 5; the driver has no class for it
AWAY = (
    ConnectionBusy,
    ConnectionException,
    CoordinationFailure,
    IsBootstrappingErrorMessage,
    NoHostAvailable,
    OperationTimedOut,
    OverloadedErrorMessage,
    ServerError,
    Timeout,
    TruncateError,
    Unavailable,
    UnresolvableContactPoints,
)


class Session:
    """Prepared requests to a cluster. All methods may be called by several threads at once."""

    def __init__(self, address: CassandraAddress) -> None:
        self.address = address
        self.consistency: Consistency = consistency()
        self._notice = Notice(logger, self)
        self._cluster, self._session = self._connect()
        self._prepared: dict[str, PreparedStatement] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return f"cassandra://{','.join(self.address.hosts)}:{self.address.port}/{self.address.keyspace}"

    @property
    def metadata(self) -> Any:
        """What the driver knows of nodes, keyspaces and tables."""
        return self._cluster.metadata

    @property
    def datacenter(self) -> str:
        """The data centre that this process asks: that of the first node it was told of."""
        name: str = self._near.local_dc
        return name

    def close(self) -> None:
        """Let go of the cluster."""
        self._cluster.shutdown()

    def use_keyspace(self) -> None:
        """Have unqualified tables mean those of the address's keyspace, which must exist."""
        self.wait(lambda: self._session.set_keyspace(self.address.keyspace))

    def prepare(self, query: str) -> PreparedStatement:
        """A prepared statement, at the consistency of rows."""
        with self._lock:
            if query not in self._prepared:
                prepared = self.wait(lambda: self._session.prepare(query))
                prepared.consistency_level = self.consistency.rows
                prepared.serial_consistency_level = self.consistency.serial
                prepared.is_idempotent = True  # every request may be carried out twice
                self._prepared[query] = prepared
            return self._prepared[query]

    def bind(
        self, query: str, *values: Any, consistency: int | None = None, page: int | None = None
    ) -> Statement:
        """A prepared statement with its values.

        `consistency` is given if it is to be another than that of rows, `page` if an answer's rows are large:
        so many come at once.
        """
        bound = self.prepare(query).bind(values)
        if page is not None:
            bound.fetch_size = page
        if consistency is not None:
            bound.consistency_level = consistency
        return bound

    def run(self, query: str, *values: Any) -> list[Any]:
        """All rows of an answer."""
        return self.execute(self.bind(query, *values))

    def run_serial(self, query: str, *values: Any) -> list[Any]:
        """All rows of a read that sees every comparison decided before it."""
        return self.execute(self.bind(query, *values, consistency=self.consistency.serial))

    def execute(self, statement: Statement) -> list[Any]:
        """All rows of an answer."""
        return self.wait(lambda: list(self._session.execute(statement)))

    def begin(self, statement: Statement) -> Callable[[], list[Any]]:
        """Execute a statement; what is returned waits for all rows of its answer, in any threads."""
        future = self._session.execute_async(statement)
        return lambda: self._finish(statement, future)

    def run_all(self, query: str, values: Iterable[Sequence[Any]]) -> None:
        """Run one statement with many values, a bounded number at once."""
        self.execute_all(self.bind(query, *row) for row in values)

    def batched(self, statements: Iterable[tuple[BoundStatement, int]]) -> Iterator[Statement]:
        """Statements on one Cassandra partition, with their sizes, in batches: each is one mutation there.

        One that was taken may be given other values, and come again.
        """
        batch, rows, size = self._batch(), 0, 0
        for statement, length in statements:
            if rows == BATCH_ROWS or size > BATCH_BYTES:
                yield batch
                batch, rows, size = self._batch(), 0, 0
            batch.add(statement)
            rows += 1
            size += length
        yield batch

    def _batch(self) -> BatchStatement:
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=self.consistency.rows)
        batch.is_idempotent = True
        return batch

    def execute_all(self, statements: Iterable[Statement]) -> None:
        """Execute all, a bounded number at once."""
        for _ in self.stream(statements):
            pass

    def stream(self, statements: Iterable[Statement]) -> Iterator[list[Any]]:
        """The rows of the answers, in order, of statements of which a bounded number is under way at once."""
        waiting: deque[tuple[Statement, ResponseFuture]] = deque()
        for statement in statements:
            if len(waiting) >= IN_FLIGHT:
                yield self._finish(*waiting.popleft())
            waiting.append((statement, self._session.execute_async(statement)))
        while waiting:
            yield self._finish(*waiting.popleft())

    def _finish(self, statement: Statement, future: ResponseFuture) -> list[Any]:
        """All rows of the answer to a request under way, which is made again if it has none."""
        futures = [future]
        result = self.wait(
            lambda: (futures.pop() if futures else self._session.execute_async(statement)).result()
        )
        rows = list(result.current_rows)
        while result.has_more_pages:
            self.wait(result.fetch_next_page)
            rows += result.current_rows
        return rows

    def pages(self, statement: Statement) -> Iterator[list[Any]]:
        """The rows of an answer of any length, as many at once as come at once."""
        result = self.wait(lambda: self._session.execute(statement))
        yield list(result.current_rows)
        while result.has_more_pages:
            self.wait(result.fetch_next_page)
            yield list(result.current_rows)

    def wait(self, work: Callable[[], Answer]) -> Answer:
        """Try until it is answered."""
        pauses, began = Pauses(), time.monotonic()
        while True:
            try:
                answer = work()
            except Exception as error:
                if not is_away(error):
                    if isinstance(error, (DriverException, ErrorMessage)):
                        raise StoreError(f"{self}: {reason(error)}") from error
                    raise
                self._notice.failed(reason(error), began)
            else:
                self._notice.succeeded()
                return answer
            time.sleep(pauses.next())

    def _connect(self) -> tuple[Cluster, Any]:
        logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # what matters is said here
        return self.wait(self._try_to_connect)

    def _try_to_connect(self) -> tuple[Cluster, Any]:
        secrets = security("cassandra")
        self._near = DCAwareRoundRobinPolicy()
        cluster = self._cluster_of(secrets)
        try:
            return cluster, cluster.connect()
        except BaseException as error:
            cluster.shutdown()
            if refusal := self._refusal(error, secrets):
                raise StoreError(f"{self}: {refusal}") from error
            raise

    def _cluster_of(self, secrets: Security) -> Cluster:
        return Cluster(
            [host.strip("[]") for host in self.address.hosts],
            self.address.port,
            auth_provider=PlainTextAuthProvider(secrets.username, secrets.password)
            if secrets.username
            else None,
            ssl_context=secrets.tls,
            # Every Cassandra that is supported speaks it, and unlike the next it has no checksums of its own,
            # which Python would compute slowly and TCP and TLS have already.
            protocol_version=ProtocolVersion.V4,
            connect_timeout=TIMEOUT,
            reconnection_policy=ExponentialReconnectionPolicy(0.25, LONGEST_PAUSE),
            execution_profiles={
                EXEC_PROFILE_DEFAULT: ExecutionProfile(
                    load_balancing_policy=TokenAwarePolicy(self._near),
                    consistency_level=self.consistency.rows,
                    serial_consistency_level=self.consistency.serial,
                    request_timeout=TIMEOUT,
                    speculative_execution_policy=ConstantSpeculativeExecutionPolicy(SECOND_TRY, 1),
                )
            },
        )

    def _refusal(self, error: BaseException, secrets: Security) -> str | None:
        """What will not mend itself about a connection that failed, in words."""
        for cause in error.errors.values() if isinstance(error, NoHostAvailable) else [error]:
            if isinstance(cause, AuthenticationFailed):
                return (
                    f"it refuses this user or password: {reason(cause)}; give them in"
                    " COMPORTA_CASSANDRA_USERNAME and COMPORTA_CASSANDRA_PASSWORD_FILE"
                )
            if isinstance(cause, ProtocolError):
                return f"what listens there is no Cassandra: {reason(cause)}"
        refusals = (probe.refusal(host, self.address.port, secrets.tls) for host in self.address.hosts)
        return next(filter(None, refusals), None)


def is_away(error: BaseException) -> bool:
    """Whether asking again later may help. What was asked may have been carried out, or be later."""
    return isinstance(error, AWAY) or (isinstance(error, ErrorMessage) and error.code == CAS_WRITE_UNKNOWN)


def reason(error: BaseException) -> str:
    """What an error of the driver's says, in one line, without its surroundings."""
    if isinstance(error, NoHostAvailable):
        reasons = [f"{node}: {reason(cause)}" for node, cause in error.errors.items()]
        return "; ".join(reasons) or "no node answers"
    if isinstance(error, UnresolvableContactPoints):
        return "no address is known for that name: is it right?"
    if isinstance(error, OperationTimedOut):
        return "no answer in time"
    if plain := unreachable(error):
        return plain
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
