"""confluent-kafka as its documentation has it for throughput: `consume` of many records at once."""

from confluent_kafka import Consumer, KafkaException, TopicPartition
from loop import Share
from share import told

MANY = 10_000
# Larger fetches, fewer of them: https://docs.confluent.io/cloud/current/client-apps/optimizing/throughput.html
FETCH = {"fetch.min.bytes": 100_000, "fetch.wait.max.ms": 500}


def main(task):
    share = Share(task)
    consumer = Consumer(
        {
            "bootstrap.servers": task.kafka,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            **FETCH,
        }
    )
    consumer.assign([TopicPartition(task.topic, number) for number in share.partitions])
    try:
        while share.left > 0:
            messages = consumer.consume(MANY, timeout=1.0)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
            if messages:
                share.count([message.value() for message in messages])
        share.leave()
    finally:
        consumer.close()


main(told())
