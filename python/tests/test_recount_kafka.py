from __future__ import annotations

import pytest
from kafka_topics import Topic
from kafka_topics import broker as broker
from real_services import RealServices

from comporta.errors import SourceError
from comporta.recount import recount
from comporta.sinks import Checkpoint, Ledger


def checkpoint(topic: Topic, start: int, upto: int, partition: int = 0) -> Checkpoint:
    name = f"{topic.name}/{partition}"
    return Checkpoint(name, name, start, upto, "flush", b"", b"", Ledger())


def values(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize(("start", "upto"), [(0, 0), (0, 2_500), (0, 1), (2_499, 2_500), (700, 1_900)])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_records_between_start_and_upto(start: int, upto: int, compression: str | None) -> None:
    topic = Topic()
    topic.send(values(2_500), compression_type=compression)
    assert recount(topic.url, [checkpoint(topic, start, upto)]) == {f"{topic.name}/0": upto - start}


def test_each_partition_by_itself_and_only_those_of_the_source() -> None:
    topic, other = Topic(3), Topic()
    topic.send(values(10), partition=0)
    topic.send(values(20), partition=2)
    other.send(values(5))
    checkpoints = [
        checkpoint(topic, 0, 10, 0),
        checkpoint(topic, 0, 0, 1),
        checkpoint(topic, 5, 20, 2),
        checkpoint(other, 0, 5),
        Checkpoint("replay", "replay", 0, 3, "flush", b"", b"", Ledger()),
        Checkpoint("file-1", "/var/log/a", 0, 30, "flush", b"", b"", Ledger()),
    ]
    name = topic.name
    assert recount(topic.url, checkpoints) == {f"{name}/0": 10, f"{name}/1": 0, f"{name}/2": 15}


def test_records_without_a_value_count() -> None:
    topic = Topic()
    topic.send([b"one", None, b"three"], keys=[b"a", b"a", b"b"])
    assert recount(topic.url, [checkpoint(topic, 0, 3)]) == {f"{topic.name}/0": 3}


def test_what_was_aborted_is_not_counted() -> None:
    topic = Topic()
    topic.transact([(values(3), True), (values(4), False), (values(5), True), (values(6), False)])
    topic.send(values(2))
    end = 3 + 1 + 4 + 1 + 5 + 1 + 6 + 1 + 2
    assert recount(topic.url, [checkpoint(topic, 0, end)]) == {f"{topic.name}/0": 10}
    assert recount(topic.url, [checkpoint(topic, 0, end - 2)]) == {f"{topic.name}/0": 8}
    assert recount(topic.url, [checkpoint(topic, 5, 12)]) == {f"{topic.name}/0": 3}


def test_what_is_gone_is_left_out() -> None:
    topic = Topic(2)
    for partition in (0, 1):
        topic.send(values(10), partition=partition)
    topic.delete_records(4, partition=0)
    assert recount(topic.url, [checkpoint(topic, 0, 10, 0), checkpoint(topic, 0, 10, 1)]) == {
        f"{topic.name}/1": 10
    }
    assert recount(topic.url, [checkpoint(topic, 4, 10, 0)]) == {f"{topic.name}/0": 6}
    assert recount(topic.url, [checkpoint(topic, 4, 11, 0)]) == {}


def test_compacted_topics_are_left_out() -> None:
    topic = Topic(cleanup_policy="compact")
    topic.send(values(10), keys=[b"a"] * 10)
    assert recount(topic.url, [checkpoint(topic, 0, 10)]) == {}


def test_a_topic_that_is_not_there_is_refused_in_words(services: RealServices) -> None:
    with pytest.raises(SourceError, match="there is no topic 'comporta-nowhere'"):
        recount(f"kafka://{services.kafka}/comporta-nowhere", [])
