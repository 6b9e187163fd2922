"""What lies in a real topic beside plain records, and twice: transactions, gaps, the same event again."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaProducer
from cluster import Cluster
from cluster import cluster as cluster
from conftest import kill_tree, wait_until
from kafka_topics import Topic, open_transaction

NUMBERED = """
import time
import comporta as c
pipeline = c.Pipeline("numbered", metrics=[c.count("lines", by=["last"]), c.sum("numbers", of="number")])
@pipeline.transform
def parse(line):
    time.sleep(0.0005)
    return {"last": int(line) % 10, "number": int(line)}
"""
EVENTS = """
import time
import comporta as c
pipeline = c.Pipeline("events", dedup=c.by_id("id", within="24h"),
    metrics=[c.count("rows", by=["row"]), c.sum("weights", of="weight")])
@pipeline.transform
def parse(line):
    time.sleep(0.0005)
    id, weight = line.split()
    row = {"id": None if id == b"-" else id, "weight": int(weight), "row": 1}
    return [row, row | {"weight": 0, "row": 2}]
"""
ABORTED = 1_000_000  # is added to numbers that must never count
TRANSACTIONS = 60
IDS = 900


def interleaved(topic: Topic, chance: random.Random, partitions: int) -> list[int]:
    """Fill a topic with transactions that overlap in its partitions, and with records of none.

    The numbers that are committed in the end.
    """
    numbers = iter(range(ABORTED))
    counted: list[int] = []

    async def send(producer: AIOKafkaProducer, aborted: int) -> None:
        for _ in range(chance.randrange(1, 30)):
            number, partition = next(numbers), chance.randrange(partitions)
            await producer.send(topic.name, b"%d" % (number + aborted), partition=partition)
            if not aborted:
                counted.append(number)
        await producer.flush()  # what others send comes between

    async def work() -> None:
        async with AsyncExitStack() as stack:
            plain = AIOKafkaProducer(bootstrap_servers=topic.server)
            await stack.enter_async_context(plain)
            idle = [
                AIOKafkaProducer(
                    bootstrap_servers=topic.server,
                    transactional_id=f"{topic.name}-{number}",
                    compression_type=compression,
                )
                for number, compression in enumerate((None, "lz4", "gzip"))
            ]
            for producer in idle:
                await stack.enter_async_context(producer)
            open: list[tuple[AIOKafkaProducer, int]] = []
            begun = 0
            while begun < TRANSACTIONS or open:
                if idle and begun < TRANSACTIONS and chance.random() < 0.6:
                    producer = idle.pop()
                    begun += 1
                    await producer.begin_transaction()
                    open.append((producer, chance.choice((0, ABORTED))))
                    await send(*open[-1])
                elif open and chance.random() < 0.6:
                    producer, aborted = open.pop(chance.randrange(len(open)))
                    await (producer.abort_transaction() if aborted else producer.commit_transaction())
                    idle.append(producer)
                elif open:
                    await send(*chance.choice(open))
                else:
                    await send(plain, 0)

    asyncio.run(work())
    return counted


def test_only_what_transactions_commit_is_counted_and_their_gaps_are_kept(cluster: Cluster) -> None:
    topic = cluster.topic
    numbers = interleaved(topic, random.Random(3), cluster.partitions)
    file = cluster.workplace.write("numbered.py", NUMBERED)
    cluster.init(file)
    running = cluster.start(file)
    wait_until(lambda: cluster.so_far("numbered").consumed > 0, "something is counted")
    kill_tree(running.pid)
    cluster.finish(file)
    ended = {each.partition: each for each in cluster.checkpoints("numbered")}
    for number in range(cluster.partitions):
        checkpoint = ended[f"{topic.name}/{number}"]
        assert checkpoint.upto == topic.end(number) > checkpoint.ledger.consumed > 0
    assert cluster.ledger(file)["counted"] == len(numbers)

    running = cluster.start(file)
    with open_transaction(topic, [b"%d" % ABORTED] * 5):
        topic.send([b"1", b"2"], 0)
        topic.send([b"3", b"4"], 1)
        numbers += [3, 4]
        wait_until(lambda: cluster.so_far("numbered").consumed == len(numbers), "what can be read is")
    numbers += [1, 2]
    wait_until(lambda: cluster.so_far("numbered").consumed == len(numbers), "the rest is")
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert cluster.counts(file, "lines") == Counter((number % 10,) for number in numbers)
    assert cluster.counts(file, "numbers") == {(): sum(numbers)}
    ledger = cluster.ledger(file)
    assert (ledger["consumed"], ledger["counted"]) == (len(numbers), len(numbers))


def test_an_event_that_is_sent_again_anywhere_at_any_time_counts_once(cluster: Cluster) -> None:
    chance = random.Random(4)
    copies = [id for id in range(IDS) for _ in range(chance.randrange(1, 5))]
    chance.shuffle(copies)
    events = [b"event-%d %d" % (id, id) for id in copies] + [b"- 7"] * 20
    halves = [(event, chance.randrange(2), chance.randrange(cluster.partitions)) for event in events]
    sent = Counter(f"{cluster.topic.name}/{partition}" for _, _, partition in halves)

    def send(half: int) -> None:
        for number in range(cluster.partitions):
            mine = [event for event, when, where in halves if (when, where) == (half, number)]
            cluster.topic.send(mine, number, max_batch_size=300)

    file = cluster.workplace.write("events.py", EVENTS)
    cluster.init(file)
    send(0)
    killed = cluster.start(file)
    wait_until(lambda: cluster.so_far("events").consumed > 0, "something is counted")
    send(1)
    kill_tree(killed.pid)
    running = cluster.start(file)
    before = cluster.so_far("events").consumed
    wait_until(lambda: cluster.so_far("events").consumed > before, "it goes on")
    kill_tree(running.pid)
    cluster.finish(file)
    counted = IDS + 20
    assert cluster.counts(file, "rows") == {(1,): counted, (2,): counted}
    assert cluster.counts(file, "weights") == {(): sum(range(IDS)) + 20 * 7}
    ledger = cluster.ledger(file)
    ended = (ledger["consumed"], ledger["counted"], ledger["duplicates"])
    assert ended == (len(events), counted, len(events) - counted)
    consumed = {each.partition: each.ledger.consumed for each in cluster.checkpoints("events")}
    assert consumed == {**sent, "replay": 0}
