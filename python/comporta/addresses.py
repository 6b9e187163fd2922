"""URLs of sources, stores, claim stores and dead letters: what they may be, in one place.

Reading a URL opens nothing. Each function raises `UsageError`, which says what would be right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote, urlsplit

from comporta.errors import UsageError

KAFKA_PORT = 9092
CASSANDRA_PORT = 9042
REDIS_PORT = 6379
NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")  # of a topic, as Kafka has it
KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}")  # one that CQL needs no quotes for

Endpoint = tuple[str, int]
"""A host and a port."""


@dataclass(frozen=True)
class KafkaAddress:
    """Brokers to ask first, as `host:port` texts, topics, and the consumer group, if one is named."""

    servers: tuple[str, ...]
    topics: tuple[str, ...]
    group: str | None = None

    @property
    def dead(self) -> KafkaAddress:
        """The topic where the dead letters of a source are by default: that of its first topic."""
        return replace(self, topics=(f"{self.topics[0]}.dead",), group=None)

    @property
    def replay(self) -> KafkaAddress:
        """The replay log that belongs to a topic of dead letters."""
        return replace(self, topics=(f"{self.topics[0].removesuffix('.dead')}.replay",), group=None)

    def __str__(self) -> str:
        group = f"?group={self.group}" if self.group else ""
        return f"kafka://{','.join(self.servers)}/{','.join(self.topics)}{group}"


@dataclass(frozen=True)
class CassandraAddress:
    """Nodes to ask first, their port, and a keyspace."""

    hosts: tuple[str, ...]
    port: int
    keyspace: str


@dataclass(frozen=True)
class RedisAddress:
    """Nodes (one, or some of a cluster's), whether they are spoken to in TLS, and the database's number."""

    nodes: tuple[Endpoint, ...]
    tls: bool
    database: int = 0


def scheme(url: str) -> str:
    """What comes before the first colon; empty where there is none."""
    return url.partition(":")[0] if ":" in url else ""


def kafka(url: str) -> KafkaAddress:
    """`kafka://HOST[:PORT][,HOST[:PORT]]/TOPIC[,TOPIC][?group=G]`."""
    right = "kafka://127.0.0.1:9092/access?group=access"
    hosts, path, options = _split(url, {"kafka"}, right, {"group"})
    topics = tuple(path.split(","))
    for topic in topics:
        if not NAME.fullmatch(topic) or topic in (".", ".."):
            raise UsageError(f"{url!r}: {topic!r} is not the name of a topic; give one such as {right}")
    if len(set(topics)) < len(topics):
        raise UsageError(f"{url!r} names a topic twice")
    servers = tuple(f"{host}:{port or KAFKA_PORT}" for host, port in hosts)
    return KafkaAddress(servers, topics, options.get("group") or None)


def cassandra(url: str) -> CassandraAddress:
    """`cassandra://HOST[:PORT][,HOST]/KEYSPACE`: one port for all."""
    right = "cassandra://127.0.0.1:9042/comporta"
    hosts, path, _ = _split(url, {"cassandra"}, right, set())
    ports = {port for _, port in hosts if port}
    if len(ports) > 1:
        raise UsageError(f"{url!r} has several ports: all nodes of a Cassandra listen on the same one")
    if not KEYSPACE.fullmatch(path):
        raise UsageError(
            f"{url!r}: {path!r} is not a keyspace (small letters, digits and _, at most 48); give one such as"
            f" {right}"
        )
    return CassandraAddress(tuple(_bare(host) for host, _ in hosts), next(iter(ports), CASSANDRA_PORT), path)


def redis(url: str) -> RedisAddress:
    """`redis://HOST[:PORT][,HOST[:PORT]][/DATABASE]`, or `rediss://...` for TLS."""
    right = "redis://127.0.0.1:6379"
    hosts, path, _ = _split(url, {"redis", "rediss"}, right, set())
    if not re.fullmatch(r"[0-9]{0,5}", path):
        raise UsageError(f"{url!r}: {path!r} is not the number of a database; give one such as {right}/0")
    nodes = tuple((_bare(host), port or REDIS_PORT) for host, port in hosts)
    return RedisAddress(nodes, url.startswith("rediss:"), int(path or 0))


def dead_letters(dead: str | None, source: str | None, store: str) -> str:
    """Where dead letters are: as given, else a topic beside a Kafka source's, else in an SQLite store.

    `source` is None where it is not known. Raises `UsageError` where letters cannot be there.
    """
    if dead is None and source and scheme(source) == "kafka":
        return str(kafka(source).dead)
    if dead is None and scheme(store) == "sqlite":
        return store
    if dead is None:
        raise UsageError(
            "a Cassandra store keeps no dead letters: say where they are with --dead, such as"
            " kafka://127.0.0.1:9092/access.dead"
        )
    if scheme(dead) == "kafka":
        if len(kafka(dead).topics) > 1:
            raise UsageError(f"{dead!r} names several topics: dead letters are in one")
    elif dead != store:
        raise UsageError(
            f"dead letters cannot be in {dead!r}: give a topic, such as kafka://127.0.0.1:9092/access.dead,"
            " or leave it to the SQLite store"
        )
    return dead


def _split(
    url: str, schemes: set[str], right: str, known: set[str]
) -> tuple[list[tuple[str, int | None]], str, dict[str, str]]:
    """Hosts with their ports, the path without its slash, and the options."""
    if "@" in url:  # which is not shown, then
        service = min(schemes)
        raise UsageError(
            f"a {service} URL holds no user and no password, which others could read: give them in"
            f" COMPORTA_{service.upper()}_USERNAME and COMPORTA_{service.upper()}_PASSWORD_FILE"
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if scheme(url) not in schemes or not parts.netloc or parts.fragment:
        raise UsageError(f"{url!r} is not understood; give one such as {right}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - known):
        raise UsageError(f"{url!r}: there is no option {unknown[0]!r}; give one such as {right}")
    hosts = [_endpoint(url, text, right) for text in parts.netloc.split(",")]
    return hosts, unquote(parts.path).strip("/"), options


def _bare(host: str) -> str:
    """A host as sockets take it: an IPv6 address without its brackets."""
    return host.strip("[]")


def _endpoint(url: str, text: str, right: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]\s]+)(?::(\d{1,5}))?", text)
    port = int(match[2]) if match and match[2] else None
    if not match or port == 0 or (port or 0) > 65535:
        raise UsageError(f"{url!r}: {text!r} is not HOST or HOST:PORT; give one such as {right}")
    return match[1], port
