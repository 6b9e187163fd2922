from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from cassandra.query import SimpleStatement
from sink_contract import Connect, SinkContract
from steps import assigned, definition, metric, step

from comporta import addresses
from comporta.generations import Generation
from comporta.payloads import Letter
from comporta.sinks import Sink
from comporta.sinks.cassandra import CassandraSink, init
from comporta.sinks.cassandra.session import Session


@pytest.fixture(scope="session")
def server() -> str:
    if "TRY_CASSANDRA" not in os.environ:
        pytest.skip("no Cassandra is named")
    return os.environ["TRY_CASSANDRA"]


@pytest.fixture(scope="session")
def keyspace(server: str) -> str:
    """The URL of a keyspace for this run of the tests; generations of random ids share it."""
    url = f"cassandra://{server}/test_{secrets.token_hex(8)}"
    init(url)
    return url


class LettersInMemory:
    def __init__(self) -> None:
        self.written: list[tuple[str, Letter]] = []

    def write(self, generation: str, letters: Sequence[Letter]) -> None:
        self.written += [(generation, letter) for letter in letters]


def forget_generations(url: str) -> None:
    """Begin with no generation; what those of other tests have written is under other ids."""
    session = Session(addresses.cassandra(url))
    for pipeline in ("access-log", "other"):
        session.execute(
            SimpleStatement(
                f"DELETE FROM {session.address.keyspace}.generations WHERE pipeline = '{pipeline}'"
            )
        )
    session.close()


class TestCassandraSink(SinkContract):
    @pytest.fixture
    def connect(self, keyspace: str) -> Iterator[Connect]:
        forget_generations(keyspace)
        sinks: list[CassandraSink] = []

        def connect() -> CassandraSink:
            sinks.append(CassandraSink(keyspace, LettersInMemory().write))
            return sinks[-1]

        yield connect
        for sink in sinks:
            sink.close()

    def test_rows_of_old_buckets_expire(self, sink: Sink, keyspace: str) -> None:
        """By themselves: they are written with the time that is left to them, or not at all."""
        now = int(time.time()) // 60 * 60
        kept = replace(definition(metric("requests", every=60), metric("bytes")), retention=86400)
        current = Generation("access-log", kept)
        assert sink.install(current, instead_of=None)
        (one,) = sink.open(current.id, [assigned("file-1")])
        rows = {"requests": {(now - 2 * 86400, "[]"): 1, (now, "[]"): 2}, "bytes": {(0, "[]"): 3}}
        assert sink.flush(current.id, [step(one, 5, rows)]) == [True]
        assert list(sink.rows(current.id, "requests", None, None)) == [(now, "[]", 2)]
        assert list(sink.rows(current.id, "bytes", None, None)) == [(0, "[]", 3)]
        session = Session(addresses.cassandra(keyspace))
        session.use_keyspace()
        (row,) = session.run(
            "SELECT TTL(number) FROM metrics"
            " WHERE generation = ? AND metric = 'requests' AND partition = 'file-1' AND span = ?",
            *(current.id, now // 3600 * 3600 * 1000),
        )
        session.close()
        assert 86400 < row[0] <= 86400 + 2 * 3600
