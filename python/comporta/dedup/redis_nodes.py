"""Redis as claims need it: one node or the masters of a cluster, waited for while they are away.

Calls are sent ahead of their answers, to all nodes at once, and each is repeated until it is answered: what
is called must be idempotent. What waiting cannot mend raises `StoreError`, a clear line.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.crc import key_slot
from redis.retry import Retry

from comporta import tls
from comporta.addresses import Endpoint, RedisAddress
from comporta.dedup.redis_script import DIGEST, SCRIPT
from comporta.errors import StoreError, UsageError
from comporta.security import Security, security
from comporta.waiting import Notice, Pauses, causes, unreachable

logger = logging.getLogger(__name__)

AHEAD = 64  # calls sent before the first answer is read
TIMEOUT = 10.0  # seconds for connecting, and for an answer

# Errors that go away by themselves or by an administrator's hand, and what to say of them.
PASSING = {
    "OOM": "it is out of memory: raise its maxmemory",
    "READONLY": "it is a read-only replica now",
    "BUSY": "it is busy with another script",
    "MISCONF": "it cannot save to its disk, and takes no writes",
    "NOREPLICAS": "it has too few replicas to take writes",
    "MASTERDOWN": "it has lost its master",
    "LOADING": "it is loading its data",
    "CLUSTERDOWN": "its cluster is down",
    "TRYAGAIN": "its cluster is moving keys",
    "ASK": "its cluster is moving keys",
    "MOVED": "its cluster has moved keys",
}


@dataclass
class Call:
    """A call of `SCRIPT` on keys of one slot; `answered` gets what it answers, once, in the node's order."""

    keys: tuple[bytes, ...]
    arguments: tuple[Any, ...]
    answered: Callable[[Any], None]

    def command(self, *how: str) -> tuple[Any, ...]:
        return (*how, len(self.keys), *self.keys, *self.arguments)


class Away(Exception):
    """Redis did not do it, but may do it later: why."""


class _NotLoaded(Exception):
    """Redis does not have the script: it was restarted, or told to forget scripts."""


class Nodes:
    """Connections to the nodes of `address`, opened where they are needed, for one thread at a time.

    Waits until Redis is there. Raises `StoreError` where it is no Redis, a replica, evicts keys, or refuses
    the user, the password or the certificate; `UsageError` for settings that cannot be meant.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._security = security("redis", tls=address.tls)
        self._connections: dict[Endpoint, Connection] = {}
        self._slots: list[tuple[int, int, Endpoint]] = []
        self._notice = Notice(logger, self)
        self.clustered = False
        self._until_done(self._discover)

    def run(self, calls: Iterable[Call]) -> None:
        """Have every call answered, however long that takes."""
        left = calls

        def work() -> None:
            nonlocal left
            if not self._slots:
                self._discover()
            left, reason = self._try(left)
            if left:
                self._slots = []  # ask again who has which keys
                raise Away(reason)

        try:
            self._until_done(work)
        except BaseException:
            self.close()  # answers that were not read are not for the next call
            raise

    def close(self) -> None:
        """Close every connection; they are opened again where they are needed."""
        for connection in self._connections.values():
            connection.disconnect()  # type: ignore[no-untyped-call]
        self._connections.clear()

    def _until_done(self, work: Callable[[], None]) -> None:
        """Try until it is done, at once after the first failure, then with pauses."""
        pauses, began = Pauses(), time.monotonic()
        is_first = True
        while True:
            try:
                work()
            except Away as reason:
                self._notice.failed(str(reason), began)
            else:
                self._notice.succeeded()
                return
            if not is_first:  # such as that of a connection that was closed while it was idle
                time.sleep(pauses.next())
            is_first = False

    def _try(self, calls: Iterable[Call]) -> tuple[list[Call], str]:
        """Send calls and read answers; those that were not answered, and why the last of them was not."""
        failed: list[Call] = []
        reason = ""
        pending: deque[tuple[Endpoint, Connection, Call]] = deque()

        def send(node: Endpoint, call: Call, *how: str) -> None:
            connection = self._connection(node)
            self._attempt(node, lambda: _send(connection, *call.command(*how)))
            pending.append((node, connection, call))

        def receive() -> None:
            nonlocal reason
            node, connection, call = pending.popleft()
            if self._connections.get(node) is not connection:  # it failed before this answer came
                failed.append(call)
                return
            try:
                try:
                    call.answered(self._attempt(node, connection.read_response))
                except _NotLoaded:
                    send(node, call, "EVAL", SCRIPT)
            except Away as why:
                failed.append(call)
                reason = str(why)

        remaining = iter(calls)
        for call in remaining:
            try:
                send(self._node_of(call.keys[0]), call, "EVALSHA", DIGEST)
                while len(pending) > AHEAD:
                    receive()
            except Away as why:
                failed.append(call)
                reason = str(why)
                break
        while pending:
            receive()
        failed.extend(remaining)
        return failed, reason

    def _connection(self, node: Endpoint) -> Connection:
        """An open connection to a node that has been checked."""
        connection = self._connections.get(node)
        if connection is None:
            connection = _connect(node, self._address.database, self._security)
            self._open(node, connection)
            self._connections[node] = connection
            self._check(node, connection)
        return connection

    def _open(self, node: Endpoint, connection: Connection) -> None:
        try:
            self._attempt(node, connection.connect)
        except Away as away:
            if not self._security.tls and tls.is_spoken(*node):
                raise StoreError(
                    f"Redis at {_shown(node)} speaks TLS: give rediss:// instead of redis://, or set"
                    " COMPORTA_REDIS_TLS to on"
                ) from away
            raise

    def _check(self, node: Endpoint, connection: Connection) -> None:
        text = self._attempt(node, lambda: _ask(connection, "INFO")).decode(errors="replace")
        info = dict(line.partition(":")[::2] for line in text.splitlines())
        if not info.get("redis_version"):
            raise StoreError(f"{_shown(node)} is no Redis")
        if info.get("role") not in ("master", None) and info.get("cluster_enabled") != "1":
            raise StoreError(
                f"Redis at {_shown(node)} is a read-only replica; give its master,"
                f" {info.get('master_host')}:{info.get('master_port')}"
            )
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise StoreError(
                f"Redis at {_shown(node)} may evict claims, and then duplicates count: its maxmemory-policy"
                f" is {policy}; set it to noeviction, in redis.conf and by CONFIG SET"
            )
        self.clustered = info.get("cluster_enabled") == "1"

    def _discover(self) -> None:
        """Learn which node has which keys."""
        known = list(dict.fromkeys([*self._address.nodes, *self._connections]))
        random.shuffle(known)
        for turn, node in enumerate(known, 1):
            try:
                connection = self._connection(node)
                if self.clustered:
                    self._slots = self._read_slots(node, connection)
                    break
            except Away:
                if turn == len(known):
                    raise
            else:
                self._slots = [(0, 16383, node)]
                break
        if not self.clustered and len(self._address.nodes) > 1:
            raise UsageError(f"{self} is no cluster: give one node")

    def _read_slots(self, node: Endpoint, connection: Connection) -> list[tuple[int, int, Endpoint]]:
        answer = self._attempt(node, lambda: _ask(connection, "CLUSTER", "SLOTS"))
        # A node that does not know its own name leaves it out.
        slots = [
            (first, last, ((master[0] or b"").decode() or node[0], master[1]))
            for first, last, master, *_ in answer
        ]
        if sum(last - first + 1 for first, last, _ in slots) < 16384:
            raise Away(PASSING["CLUSTERDOWN"])
        return slots

    def _node_of(self, key: bytes) -> Endpoint:
        slot = key_slot(key) if self.clustered else 0
        return next(node for first, last, node in self._slots if first <= slot <= last)

    def _attempt(self, node: Endpoint, work: Callable[[], Any]) -> Any:
        """Do it, or raise `Away` or `StoreError`; where the connection failed, it is closed."""
        try:
            return work()
        except (exceptions.RedisError, OSError) as error:
            if not isinstance(error, exceptions.ResponseError) and (
                connection := self._connections.pop(node, None)
            ):
                connection.disconnect()  # type: ignore[no-untyped-call]
            raise _translate(node, error) from error

    def __str__(self) -> str:
        return f"Redis at {','.join(_shown(node) for node in self._address.nodes)}"


class _TLSConnection(Connection):
    """A connection in TLS as `comporta.security` sets it."""

    def __init__(self, context: ssl.SSLContext, **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._context = context

    def _connect(self) -> Any:
        connected = super()._connect()  # type: ignore[no-untyped-call]
        try:
            return self._context.wrap_socket(connected, server_hostname=self.host)
        except TimeoutError:  # as of one that waits for the end of a line
            connected.close()
            raise exceptions.ConnectionError("it does not answer in TLS: is this its tls-port?") from None
        except OSError:
            connected.close()
            raise


def _connect(node: Endpoint, database: int, security: Security) -> Connection:
    settings: dict[str, Any] = {
        "host": node[0],
        "port": node[1],
        "db": database,
        "username": security.username,
        "password": security.password,
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if security.tls:
        return _TLSConnection(security.tls, **settings)
    return Connection(**settings)  # type: ignore[no-untyped-call]


def _send(connection: Connection, *command: Any) -> None:
    connection.send_command(*command)  # type: ignore[no-untyped-call]


def _ask(connection: Connection, *command: Any) -> Any:
    _send(connection, *command)
    return connection.read_response()


def _translate(node: Endpoint, error: Exception) -> Exception:
    """What to do about an error: `Away` to wait, `StoreError` to give up."""
    at = f"Redis at {_shown(node)}"
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError) and (refusal := tls.refusal("redis", cause)):
            return StoreError(f"{at}: {refusal}")
    if isinstance(error, (exceptions.AuthenticationError, exceptions.AuthorizationError)):
        return StoreError(
            f"{at} refuses the user or the password: {str(error).rstrip('.')}; see"
            " COMPORTA_REDIS_USERNAME and COMPORTA_REDIS_PASSWORD_FILE"
        )
    if isinstance(error, exceptions.NoPermissionError):
        return StoreError(
            f"{at} forbids a command that claims need: {error}; docs/deduplication.md says what"
            " COMPORTA_REDIS_USERNAME must be allowed"
        )
    if isinstance(error, exceptions.NoScriptError):
        return _NotLoaded()
    if isinstance(error, exceptions.InvalidResponse):
        return StoreError(f"{at} is no Redis: {error}")
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    if code in PASSING:
        return Away(f"{_shown(node)}: {PASSING[code]}")
    if isinstance(error, exceptions.ResponseError) and not isinstance(error, exceptions.ConnectionError):
        return StoreError(f"{at}: {error}")
    return Away(f"{_shown(node)}: {unreachable(error) or error}")


def _shown(node: Endpoint) -> str:
    host, port = node
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
