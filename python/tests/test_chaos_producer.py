"""A workload's events are taken by who gets them, and end where the workload says."""

from __future__ import annotations

import time
from pathlib import Path

from kafka_topics import Topic
from kafka_topics import broker as broker

from comporta.chaos.producer import FileProducer, KafkaProducer, Producer
from comporta.chaos.workloads.counting import Counting
from comporta.chaos.workloads.large import Large


class FewLarge(Large):
    most = 3
    rate = 1000


class FewSmall(Counting):
    most = 10_000
    rate = 1_000_000


def produce(producer: Producer) -> None:
    producer.start()
    while not producer.is_exhausted and producer.failure is None:
        time.sleep(0.01)
    producer.finish()


def test_kafka_takes_records_of_a_mib_as_it_is(broker: str) -> None:
    producer = KafkaProducer(FewLarge(), broker, Topic().name)
    produce(producer)
    assert list(producer.acknowledged) == [0, 1, 2]


def test_no_more_events_are_written_than_there_are(tmp_path: Path) -> None:
    producer = FileProducer(FewSmall(), tmp_path / "logs", files=3)
    produce(producer)
    assert sorted(producer.acknowledged) == list(range(10_000))
    lines = [line for path in producer.paths for line in path.read_bytes().splitlines()]
    assert sorted(lines) == sorted(FewSmall().event(number).value for number in range(10_000))
