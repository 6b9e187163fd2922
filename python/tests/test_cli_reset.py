"""What `comporta reset` says of the claims to come; what it does is in `test_reset` and `test_cli_store`."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka_topics import Topic
from kafka_topics import broker as broker
from steps import assigned, definition, generation, step
from test_cli_store import Call, call

from comporta.cli.reset import duration
from comporta.reset import claimed_again
from comporta.sinks import Ledger, open_sink
from comporta.sources import resolve

__all__ = ["call"]

FILE = """
import comporta as c
pipeline = c.Pipeline("access-log", dedup=c.by_id("id", within="24h"), metrics=[c.count("requests")])
@pipeline.transform
def parse(line): ...
"""


@pytest.fixture
def store(call: Call) -> str:
    """A store of which 3,000,000 records were counted."""
    Path("access.py").write_text(FILE)
    sink = open_sink("sqlite:store.db", create=True)
    new = generation()
    sink.install(new, instead_of=None)
    [checkpoint] = sink.open(new.id, [assigned("file-1")])
    sink.flush(new.id, [step(checkpoint, 9, ledger=Ledger(consumed=3_000_000, counted=3_000_000))])
    return "sqlite:store.db"


def test_the_memory_of_claims_in_redis_is_estimated(call: Call, store: str) -> None:
    answer = call("reset", "access.py", "--store", store, "--claims", "redis://127.0.0.1:1")
    assert answer.status == 0
    assert answer.err.splitlines() == [
        "claims: with an id a record, 3,000,000 are claimed again, which takes 114.4 MiB of Redis's memory,"
        " or less if reading takes longer than 1.5d; what the old generation has claimed stays beside it"
        " until it expires, within 1.5d"
    ]


@pytest.mark.parametrize("words", [[], ["--claims", "redis://127.0.0.1:1", "--to", "latest"]])
def test_where_none_come_into_redis_nothing_is_said(call: Call, store: str, words: list[str]) -> None:
    answer = call("reset", "access.py", "--store", store, *words)
    assert (answer.status, answer.err) == (0, "")


def test_without_deduplication_nothing_is_said(call: Call, store: str) -> None:
    Path("access.py").write_text(FILE.replace('dedup=c.by_id("id", within="24h"), ', ""))
    answer = call("reset", "access.py", "--store", store, "--claims", "redis://127.0.0.1:1")
    assert (answer.status, answer.err) == (0, "")


def test_of_kafka_what_is_read_again_is_what_it_holds(tmp_path: Path) -> None:
    topic = Topic(2)
    topic.send([b"old"] * 5, 0, timestamp=1_700_000_000_000)
    topic.send([b"new"] * 7, 1, timestamp=1_750_000_000_000)
    sink = open_sink(f"sqlite:{tmp_path}/store.db", create=True)
    found = {
        start: claimed_again(sink, "access-log", start, resolve(topic.url, start), topic.url)
        for start in ("earliest", "2025-01-01T00:00:00Z", "latest")
    }
    assert list(found.values()) == [12, 7, 0]
    assert claimed_again(sink, definition().name, "earliest", None, None) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.5, "1.5s"), (45, "45s"), (90, "1.5m"), (129_600, "1.5d"), (5400, "1.5h")]
)
def test_a_time_is_said_in_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
