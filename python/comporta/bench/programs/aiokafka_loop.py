"""aiokafka as its documentation has it for many records at once, `getmany`, with automatic commits."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition
from loop import Share


async def main(share):
    wanted = share.left
    consumer = AIOKafkaConsumer(
        bootstrap_servers=share.kafka, group_id=share.group, auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign([TopicPartition(share.topic, number) for number in share.partitions])
    try:
        while share.left > 0:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                share.count([record.value for record in records])
        share.leave(wanted - share.left)
    finally:
        await consumer.stop()


asyncio.run(main(Share(sys.argv[1])))
