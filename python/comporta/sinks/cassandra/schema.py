"""The tables, and making them. `docs/cassandra.md` says why they are as they are.

Tables are only ever added to: a column that was dropped and added again would lose every row whose timestamp
is older than the drop, and the timestamps here are offsets.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any

from cassandra import AlreadyExists
from cassandra.query import SimpleStatement

from comporta import addresses
from comporta.errors import StoreError
from comporta.sinks.cassandra.session import Session

VERSION = 1
REPLICATION = 3  # where there are as many nodes

TABLES = {
    "schema_version": "(part text, version int, PRIMARY KEY (part))",
    "generations": """(
        pipeline text, id text, current text static, created timestamp, start text, started boolean,
        definition text, retired text, origin text, datacenter text,
        PRIMARY KEY (pipeline, id))""",
    "partitions": """(
        generation text, partition text, came bigint, shown text, meta blob,
        PRIMARY KEY (generation, partition))""",
    "checkpoints": """(
        generation text, partition text, start bigint, upto bigint, flush text, chunks int, applied text,
        mark blob, consumed bigint, counted bigint, dropped bigint, duplicates bigint, dead bigint,
        PRIMARY KEY ((generation, partition)))""",
    "redo": """(
        generation text, partition text, upto bigint, flush text, chunk int, data blob,
        PRIMARY KEY ((generation, partition, upto, flush), chunk))
        WITH compression = {'enabled': 'false'} AND gc_grace_seconds = 3600""",
    "metrics": """(
        generation text, metric text, partition text, span timestamp, bucket timestamp, key text,
        form text, number varint, real double, scale int, count bigint, state blob,
        PRIMARY KEY ((generation, metric, partition, span), bucket, key))""",
    "spans": """(
        generation text, metric text, span timestamp, partition text,
        PRIMARY KEY ((generation, metric), span, partition))""",
    "replayed": """(
        generation text, partition text, slot int, offset bigint, attempt int,
        PRIMARY KEY ((generation, partition, slot), offset, attempt))""",
    "output_rows": """(
        generation text, partition text, slice bigint, offset bigint, row_index int, row text,
        PRIMARY KEY ((generation, partition, slice), offset, row_index))""",
    "output_slices": """(
        generation text, partition text, slice bigint,
        PRIMARY KEY ((generation, partition), slice))""",
}
LATER = ("output_rows", "output_slices")
"""Tables that a keyspace of this version may be without: it was made before pipelines could keep rows."""


def init(url: str, replication: int | None = None) -> str:
    """Make the keyspace and the tables of `cassandra://HOST[:PORT]/KEYSPACE`, as far as they are not there.

    `replication` is how many nodes of each data centre hold a row (default: 3, or as many as there are); a
    keyspace that is there keeps its own. Returns what was done, in words. Raises `UsageError` for a URL that
    is none, `StoreError` where the keyspace holds other tables, or another version's, or another replication
    than was asked for, or where Cassandra does not allow what results are written with.
    """
    session = Session(addresses.cassandra(url))
    try:
        return _init(session, replication)
    finally:
        session.close()


def _init(session: Session, replication: int | None) -> str:
    name = session.address.keyspace
    keyspace = session.metadata.keyspaces.get(name)
    if keyspace is None:
        nodes = sum(host.datacenter == session.datacenter for host in session.metadata.all_hosts())
        copies = replication or min(REPLICATION, nodes)
        _create(
            session,
            f"CREATE KEYSPACE IF NOT EXISTS {name} WITH replication ="
            f" {{'class': 'NetworkTopologyStrategy', 'replication_factor': '{copies}'}}",
        )
    elif replication is not None:
        _check_replication(session, keyspace, replication)
    if keyspace is not None:
        _check_columns(session)
    missing = [table for table in TABLES if keyspace is None or table not in keyspace.tables]
    for table in missing:
        _create(session, f"CREATE TABLE IF NOT EXISTS {name}.{table} {TABLES[table]}")
    session.use_keyspace()
    version = _version(session)
    if version is None:
        session.run("INSERT INTO schema_version (part, version) VALUES ('tables', ?)", VERSION)
    elif version != VERSION:
        raise _another_version(session, version)
    _check_small_timestamps(session)
    return f"{session}: {'made' if missing else 'everything is there'}"


def open_keyspace(session: Session) -> None:
    """Use the keyspace, once it is certain that `init` has made it. Raises `StoreError` if not, in words."""
    keyspace = session.metadata.keyspaces.get(session.address.keyspace)
    if keyspace is None or "schema_version" not in keyspace.tables:
        what = "holds no tables of Comporta's" if keyspace else "does not exist"
        raise StoreError(
            f"{session}: the keyspace {session.address.keyspace} {what}; make them with"
            f" `comporta init FILE.py --store {session}`"
        )
    _check_columns(session)
    session.use_keyspace()
    version = _version(session)
    if version is None:
        raise StoreError(
            f"{session}: its tables are not complete; make them with"
            f" `comporta init FILE.py --store {session}`"
        )
    if version != VERSION:
        raise _another_version(session, version)


def has_later_tables(session: Session) -> bool:
    """Whether the keyspace has the tables that were added to this version."""
    return all(table in session.metadata.keyspaces[session.address.keyspace].tables for table in LATER)


def check_later_tables(session: Session) -> None:
    """Raise `StoreError`, in words, where they are needed and not there."""
    if not has_later_tables(session):
        raise StoreError(
            f"{session}: the keyspace {session.address.keyspace} was made before pipelines could keep rows;"
            f" add the tables for them with `comporta init FILE.py --store {session}`"
        )


def _create(session: Session, statement: str) -> None:
    with contextlib.suppress(AlreadyExists):  # by another `init`, in spite of IF NOT EXISTS
        session.execute(SimpleStatement(statement))


def _check_replication(session: Session, keyspace: Any, replication: int) -> None:
    factors = getattr(keyspace.replication_strategy, "dc_replication_factors", {})
    if set(factors.values()) != {replication}:
        strategy = keyspace.replication_strategy.export_for_schema()
        raise StoreError(
            f"{session}: the keyspace exists with the replication {strategy}, not {replication}; leave the"
            " option out, or change it with ALTER KEYSPACE and `nodetool repair`"
        )


def _check_columns(session: Session) -> None:
    """Raise `StoreError` if a table of the keyspace is called as one of ours, and is another."""
    tables = session.metadata.keyspaces[session.address.keyspace].tables
    for table, text in TABLES.items():
        if table in tables and (missing := _columns(text) - set(tables[table].columns)):
            raise StoreError(
                f"{session}: the table {table} there is not Comporta's, for it has no {sorted(missing)[0]};"
                " give a keyspace of its own"
            )


def _columns(text: str) -> set[str]:
    """The names of a table's columns."""
    body = text[1:].partition("PRIMARY KEY (")[0]
    return {part.split()[0] for part in body.split(",") if part.strip()}


def _version(session: Session) -> int | None:
    rows = session.run("SELECT version FROM schema_version WHERE part = 'tables'")
    return rows[0].version if rows else None


def _another_version(session: Session, version: int) -> StoreError:
    return StoreError(
        f"{session}: its tables are of version {version}, and this Comporta knows version {VERSION}: use the"
        " one that made them, or another keyspace, which `comporta init` makes"
    )


def _check_small_timestamps(session: Session) -> None:
    """Write and read back a row as small in time as results are; a guardrail may forbid that."""
    part = f"probe-{secrets.token_hex(8)}"
    insert = "INSERT INTO schema_version (part, version) VALUES (?, 1) USING TIMESTAMP 1 AND TTL 60"
    try:
        session.run(insert, part)
    except StoreError as error:
        if "timestamp" not in str(error).lower():
            raise
        raise StoreError(
            f"{error}: results are written with small timestamps, which a guardrail of this Cassandra"
            " forbids; unset minimum_timestamp_fail_threshold"
        ) from error
    if not session.run("SELECT version FROM schema_version WHERE part = ?", part):
        raise StoreError(f"{session}: a row with a small timestamp did not come back")
