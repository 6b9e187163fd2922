"""confluent-kafka as its documentation has it for throughput: `consume` of many records at once."""

import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition
from loop import Share

MANY = 10_000
# Larger fetches, fewer of them: https://docs.confluent.io/cloud/current/client-apps/optimizing/throughput.html
FETCH = {"fetch.min.bytes": 100_000, "fetch.wait.max.ms": 500}


def main(share):
    wanted = share.left
    consumer = Consumer(
        {
            "bootstrap.servers": share.kafka,
            "group.id": share.group,
            "auto.offset.reset": "earliest",
            **FETCH,
        }
    )
    consumer.assign([TopicPartition(share.topic, number) for number in share.partitions])
    try:
        while share.left > 0:
            messages = consumer.consume(MANY, timeout=1.0)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
            if messages:
                share.count([message.value() for message in messages])
        share.leave(wanted - share.left)
    finally:
        consumer.close()


main(Share(sys.argv[1]))
