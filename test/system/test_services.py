"""`comporta services`, with the real ones: on ports and in folders of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cassandra.cluster import Cluster
from conftest import Workplace, json_lines, processes, wait_until
from real_services import RealServices, start, watched

from comporta.services import Services, ports

TESTS = Path(__file__).resolve().parents[2] / "python" / "tests"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with watched(tmp_path / "a folder"):
        yield tmp_path / "a folder"


def status(place: Workplace, folder: Path) -> dict[str, dict[str, Any]]:
    rows = json_lines(place.run("services", "status", "--folder", folder, "--format", "json").stdout)
    return {f"{row['service']}-{row['node']}": row for row in rows}


def left(folder: Path) -> list[str]:
    """The command lines of what still runs with something in the folder, but for who is to end it."""
    return [
        line for _, line in processes().values() if str(folder) in line and "real_services.py" not in line
    ]


def free_port(near: int) -> int:
    return ports.find(["127.0.0.1"], os.getpid() * 11 + near)


async def produce(address: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait("kept", b"in Kafka")


async def consume(address: str) -> bytes:
    async with AIOKafkaConsumer(bootstrap_servers=address) as consumer:
        partition = TopicPartition("kept", 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return bytes((await asyncio.wait_for(consumer.getone(), 30)).value)


def test_data_survives(workplace: Workplace, folder: Path) -> None:
    found = start(folder)
    asyncio.run(produce(found.kafka))
    host, _, port = found.cassandra.partition(":")
    with Cluster([host], port=int(port)) as cluster, cluster.connect() as session:
        session.execute(
            "CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        session.execute("CREATE TABLE kept.kept (id int PRIMARY KEY, place text)")
        session.execute("INSERT INTO kept.kept (id, place) VALUES (1, 'in Cassandra')")
    redis.Redis.from_url(f"redis://{found.redis}").set("kept", "in Redis")

    before = status(workplace, folder)
    assert {row["state"] for row in before.values()} == {"ready"}
    assert "up already" in workplace.run("services", "up", "--folder", folder).stdout
    workplace.run("services", "down", "--folder", folder)
    assert not left(folder)
    assert {row["state"] for row in status(workplace, folder).values()} == {"stopped"}

    assert "ready in" in workplace.run("services", "up", "--folder", folder).stdout
    after = status(workplace, folder)
    assert [row["address"] for row in after.values()] == [row["address"] for row in before.values()]
    assert all(after[name]["pid"] not in (None, before[name]["pid"]) for name in before)
    assert asyncio.run(consume(found.kafka)) == b"in Kafka"
    with Cluster([host], port=int(port)) as cluster, cluster.connect() as session:
        assert session.execute("SELECT place FROM kept.kept WHERE id = 1").one().place == "in Cassandra"
    assert redis.Redis.from_url(f"redis://{found.redis}").get("kept") == b"in Redis"

    workplace.run("services", "down", "--delete", "--folder", folder)
    assert not folder.exists()
    assert not left(folder)


def test_a_killed_node_is_started_again(workplace: Workplace, folder: Path) -> None:
    words = ("services", "up", "--folder", folder, "--only", "redis", "--nodes", 3)
    first = free_port(1)
    workplace.run(*words, "--redis-port", first)
    found = Services(folder)
    client = redis.RedisCluster("127.0.0.1", first)
    client.set("kept", "in Redis")
    node = found.node("redis", 2)
    pid = node.pid
    node.kill()
    assert status(workplace, folder)["redis-2"]["state"] == "stopped"
    workplace.run(*words)
    assert status(workplace, folder)["redis-2"]["state"] == "ready"
    assert node.pid not in (None, pid)
    assert redis.RedisCluster("127.0.0.1", first).get("kept") == b"in Redis"

    node.stop()
    assert status(workplace, folder)["redis-2"]["state"] == "running"
    node.resume()
    assert wait_until(node.is_ready, "it goes on")

    node.stop()
    workplace.run("services", "down", "--folder", folder)
    assert not left(folder)


def test_a_taken_port_is_named(workplace: Workplace, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        words = ("services", "up", "--folder", folder, "--redis-port", port, "--only", "redis")
        ended = workplace.run(*words, status=1)
    assert f"port {port} on 127.0.0.1" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not left(folder)
    workplace.run(*words)


def test_other_services_than_the_folder_has_are_wrong_usage(workplace: Workplace, folder: Path) -> None:
    port = free_port(2)
    workplace.run("services", "up", "--folder", folder, "--only", "redis", "--redis-port", port)
    for words in (("--nodes", 3), ("--redis-port", port + 1), ("--only", "mysql"), ("--kafka-port", 0)):
        ended = workplace.run("services", "up", "--folder", folder, *words, status=2)
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing(workplace: Workplace, folder: Path, number: int) -> None:
    words = ("services", "up", "--folder", folder, "--cassandra-port", free_port(3), "--only", "cassandra")
    process = workplace.start(*words)
    wait_until(lambda: Services(folder).nodes and Services(folder).node("cassandra").pid, "it starts")
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (1, "comporta: error: interrupted")
    assert not left(folder)


def test_a_node_that_cannot_start_is_said(workplace: Workplace, folder: Path) -> None:
    port = free_port(4)
    words = ("services", "up", "--folder", folder, "--redis-port", port, "--only", "redis")
    workplace.run(*words)
    workplace.run("services", "down", "--folder", folder)
    (folder / "redis-1" / "data" / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    ended = workplace.run(*words, status=1)
    assert ended.stderr.startswith("comporta: error: redis-1 has ended")
    assert "Traceback" not in ended.stderr


def test_a_killed_test_session_leaves_nothing(tmp_path: Path) -> None:
    program = (
        "import time; from pathlib import Path; from real_services import watched; "
        "from comporta.services import Services\n"
        f"folder = Path({str(tmp_path / 'services')!r})\n"
        "with watched(folder):\n"
        f"    Services(folder, only=['redis'], redis_port={free_port(5)}).up()\n"
        "    print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=TESTS, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == b"up\n"
        assert left(tmp_path)
        session.kill()
    wait_until(lambda: not (tmp_path / "services").exists() and not left(tmp_path), "all of it has ended")


def test_tests_have_services(services: RealServices) -> None:
    assert {node.state for node in services.services.nodes} == {"ready"}
    assert asyncio.run(topics(services.kafka)) is not None
    assert redis.Redis.from_url(f"redis://{services.redis}").ping()


async def topics(address: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()
