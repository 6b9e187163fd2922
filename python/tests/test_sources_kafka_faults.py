"""A source of Kafka whose broker goes away and comes back."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka_topics import Topic
from real_services import watched
from source_contract import LIMITS, PATIENCE
from test_sources_kafka import known, values

from comporta import waiting
from comporta.payloads import Origin
from comporta.services import Services, ports
from comporta.services.node import Node
from comporta.sources.kafka import KafkaSource, resolve
from comporta.sources.kafka import group as module_group

Open = Callable[[Origin], KafkaSource]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A broker of this module's own."""
    folder = tmp_path_factory.mktemp("kafka")
    port = ports.find(["127.0.0.1"], os.getpid() * 11)
    found = Services(folder, only=["kafka"], kafka_port=port)
    with watched(folder):
        found.up()
        yield found.node("kafka")


@pytest.fixture
def topic(node: Node, monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setattr(Topic, "server", node.address, raising=False)
    return Topic()


@pytest.fixture
def open_source(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setenv("COMPORTA_DATA", str(tmp_path))
    monkeypatch.setenv("COMPORTA_SESSION_TIMEOUT", "6s")
    monkeypatch.setattr(module_group, "WATCH_EVERY", 1.0)
    opened: list[KafkaSource] = []

    def open(origin: Origin) -> KafkaSource:
        opened.append(
            KafkaSource(topic.url, known(origin, {}), False, LIMITS, f"test-{secrets.token_hex(6)}")
        )
        return opened[-1]

    yield open
    for source in opened:
        source.close()


@pytest.fixture
def source(topic: Topic, open_source: Open) -> KafkaSource:
    return open_source(resolve(topic.url, "earliest"))


def read(source: KafkaSource, count: int, upto: int = 0) -> list[bytes | None]:
    """So many records; what is assigned anew is read from `upto` on."""
    found: list[bytes | None] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < deadline, found
        source.revoked()
        for assigned in source.discover():
            source.seek(assigned["partition"], upto)
        if source.wants_drain():
            source.drained()
        if batch := source.read():
            found += values([batch])
        time.sleep(0.01)
    return found


def wait_for(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Wait until the log says so."""
    deadline = time.monotonic() + PATIENCE
    while text not in caplog.text:
        assert time.monotonic() < deadline, caplog.text
        time.sleep(0.05)


def test_a_broker_that_is_away_at_the_start_is_waited_for(
    topic: Topic, node: Node, open_source: Open, caplog: pytest.LogCaptureFixture
) -> None:
    topic.send([b"one"])
    origin = resolve(topic.url, "earliest")
    node.kill()
    source = open_source(origin)
    wait_for(f"waiting for Kafka at {node.address}", caplog)
    assert source.discover() == []
    assert not source.is_listed()
    node.start()
    assert read(source, 1) == [b"one"]


def test_reading_goes_on_when_a_broker_is_back(
    source: KafkaSource,
    topic: Topic,
    node: Node,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "SAID_EVERY", 600)
    caplog.set_level("INFO")
    topic.send([b"one"])
    assert read(source, 1) == [b"one"]
    node.kill()
    wait_for("waiting for Kafka", caplog)
    assert source.read() is None
    node.start()
    topic.send([b"two"])
    # A broker that starts slowly is away for longer than a session; its partitions are assigned anew then.
    assert read(source, 1, upto=1) == [b"two"]
    wait_for("answers again", caplog)
    assert caplog.text.count("waiting for Kafka") == 1


def test_reading_goes_on_when_a_broker_was_frozen(source: KafkaSource, topic: Topic, node: Node) -> None:
    topic.send([b"one"])
    assert read(source, 1) == [b"one"]
    node.stop()
    time.sleep(8)  # longer than a session
    node.resume()
    topic.send([b"two"])
    assert read(source, 1, upto=1) == [b"two"]
