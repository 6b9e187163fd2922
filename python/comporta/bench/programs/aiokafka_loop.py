"""aiokafka as its documentation has it for many records at once, `getmany`, with automatic commits."""

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from loop import Share
from share import told


async def main(task):
    share = Share(task)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=task.kafka, group_id=task.group, auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign([TopicPartition(task.topic, number) for number in share.partitions])
    try:
        while share.left > 0:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                share.count([record.value for record in records])
        share.leave()
    finally:
        await consumer.stop()


asyncio.run(main(told()))
