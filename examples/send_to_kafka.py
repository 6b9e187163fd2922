"""Send the lines of a file to a Kafka topic, which is made if it is missing.

python examples/send_to_kafka.py FILE kafka://HOST:PORT/TOPIC [PARTITIONS]
"""

import asyncio
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer

from comporta import addresses, brokers


async def send(file: str, url: str, partitions: int) -> int:
    address = addresses.kafka(url)
    (topic,) = address.topics
    await brokers.make_topics(address, partitions=partitions)
    settings = brokers.settings(address)
    async with AIOKafkaProducer(compression_type="lz4", linger_ms=20, acks="all", **settings) as producer:
        lines = Path(file).read_bytes().splitlines()
        sent = [await producer.send(topic, line) for line in lines]
        await asyncio.gather(*sent)
    return len(sent)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    count = asyncio.run(send(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) == 4 else 4))
    print(f"{count:,} lines sent")
