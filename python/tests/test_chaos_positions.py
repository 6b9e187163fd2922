from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from cassandra.query import SimpleStatement
from real_services import RealServices
from steps import assigned, generation, step

from comporta import addresses
from comporta.chaos.positions import CassandraPosition, Durable
from comporta.sinks.cassandra import CassandraSink, init
from comporta.sinks.cassandra.session import Session


@pytest.fixture
def keyspace(services: RealServices) -> Iterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    url = f"cassandra://{services.cassandra}/{name}"
    init(url)
    yield name
    session = Session(addresses.cassandra(url))
    session.execute(SimpleStatement(f"DROP KEYSPACE {name}"))
    session.close()


@pytest.mark.parametrize("partitions", [None, 2])
def test_what_has_taken_effect_in_cassandra(
    services: RealServices, keyspace: str, partitions: int | None
) -> None:
    host, _, port = services.cassandra.partition(":")
    position = CassandraPosition([host], int(port), keyspace, "access-log", partitions=partitions)
    sink = CassandraSink(f"cassandra://{services.cassandra}/{keyspace}", None)
    try:
        current = generation()
        assert sink.install(current, instead_of=None)
        (one,) = sink.open(current.id, [assigned("a/0")])
        assert position() == Durable(0, {"a/0": 0})
        (two, _) = sink.open(current.id, [assigned("a/1", start=7), assigned("replay")])
        for upto in (10, 20, 30):
            first, second = step(one, upto), step(two, upto + 1)
            assert sink.flush(current.id, [first, second]) == [True, True]
            one, two = first.after, second.after
            consumed = one.ledger.consumed + two.ledger.consumed
            assert position() == Durable(consumed, {"a/0": upto, "a/1": upto + 1})
    finally:
        position.close()
        sink.close()
