"""A workload's events are taken by who gets them, and end where the workload says."""

from __future__ import annotations

import time
from pathlib import Path

from few_events import FewEvents
from kafka_topics import Topic
from kafka_topics import broker as broker

from comporta.chaos.producer import FileProducer, KafkaProducer, Producer
from comporta.chaos.workloads.counting import Counting
from comporta.chaos.workloads.large import Large


class FewLarge(FewEvents, Large):
    most = 3


class FewSmall(FewEvents, Counting):
    most = 10_000


def produce(producer: Producer, workload: FewEvents) -> None:
    producer.start()
    while not workload.is_over and producer.failure is None:
        time.sleep(0.01)
    producer.finish()


def test_kafka_takes_records_of_a_mib_as_it_is(broker: str) -> None:
    workload = FewLarge()
    producer = KafkaProducer(workload, broker, Topic().name)
    produce(producer, workload)
    assert list(producer.acknowledged) == [0, 1, 2]


def test_no_more_events_are_written_than_there_are(tmp_path: Path) -> None:
    workload = FewSmall()
    producer = FileProducer(workload, tmp_path / "logs", files=3)
    produce(producer, workload)
    assert sorted(producer.acknowledged) == list(range(10_000))
    lines = [line for path in producer.paths for line in path.read_bytes().splitlines()]
    assert sorted(lines) == sorted(FewSmall().event(number).value for number in range(10_000))
