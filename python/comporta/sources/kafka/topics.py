"""Topics by the names that their partitions have in the store, and whether they are still the same ones."""

from __future__ import annotations

from aiokafka.structs import TopicPartition

from comporta import brokers
from comporta.addresses import KafkaAddress
from comporta.errors import SourceError
from comporta.sinks.contract import REPLAY


class Topics:
    """The topics of an address, and beside them the replay log, if there is one."""

    def __init__(self, address: KafkaAddress, replay: KafkaAddress | None) -> None:
        self.address = address
        self.replay = replay
        self.names = (*address.topics, *(replay.topics if replay else ()))
        self._ids: dict[str, str] = {}

    @property
    def servers(self) -> str:
        """The brokers as people write them."""
        return ",".join(self.address.servers)

    def is_replay(self, partition: TopicPartition) -> bool:
        """Whether it is the replay log's."""
        return self.replay is not None and partition.topic == self.replay.topics[0]

    def name(self, partition: TopicPartition) -> str:
        """`TOPIC/NUMBER`, or `replay`."""
        return REPLAY if self.is_replay(partition) else f"{partition.topic}/{partition.partition}"

    def partition(self, name: str) -> TopicPartition:
        """The partition of that name."""
        if name == REPLAY and self.replay:
            return TopicPartition(self.replay.topics[0], 0)
        topic, _, number = name.rpartition("/")
        return TopicPartition(topic, int(number))

    async def check(self, expected: dict[str, str]) -> None:
        """Wait for Kafka; raise `SourceError` for topics that are missing, or have other ids than `expected`
        or than before.
        """
        ids = await brokers.find_topic_ids(self.address)
        for topic, id in {**self._ids, **expected}.items():
            if topic in ids and ids[topic] != id:
                raise SourceError(
                    f"the topic {topic} was deleted and made anew since this generation began: its offsets"
                    " mean other records now; `comporta reset` begins a new generation"
                )
        self._ids = ids
