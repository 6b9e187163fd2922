"""The pure parts of services: what is planned, what is written for them, which process is theirs."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import pytest

from comporta.errors import ComportaError, UsageError
from comporta.services import Services, cassandra, folders, jars, kafka, plan, ports, processes, redis
from comporta.services.plan import Plan
from comporta.services.processes import Process

ALL = ("kafka", "cassandra", "redis")


def planned(nodes: int = 1, **clients: int) -> Plan:
    return plan.extended(None, nodes, clients, ALL)


def test_what_is_not_asked_for_is_usual() -> None:
    whole = plan.extended(None, None, {"kafka": None}, ALL)
    assert (whole.nodes, whole.clients) == (1, {"kafka": 9092, "cassandra": 9042, "redis": 6379})
    assert set(whole.inner) == {"kafka-1", "cassandra-1"}


def test_a_plan_is_kept(tmp_path: Path) -> None:
    whole = planned(3, kafka=9192)
    plan.write(tmp_path, whole)
    assert plan.read(tmp_path) == whole
    assert plan.extended(whole, None, {}, ALL) == whole
    assert plan.read(tmp_path / "elsewhere") is None


def test_a_plan_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    for content in ("", "[]", '{"nods": 1}'):
        (tmp_path / plan.FILE).write_text(content)
        with pytest.raises(ComportaError, match=plan.FILE):
            Services(tmp_path).status()


def test_a_service_can_be_added() -> None:
    first = plan.extended(None, None, {"redis": 7001}, ["redis"])
    assert first.clients == {"redis": 7001}
    both = plan.extended(first, None, {}, ["kafka"])
    assert both.clients == {"redis": 7001, "kafka": 9092}


@pytest.mark.parametrize(
    ("nodes", "clients", "services", "said"),
    [
        (3, {}, ALL, "has services of 1 node, not 3"),
        (None, {"kafka": 9093}, ALL, "kafka on port 9092, not 9093"),
        (2, {}, ALL, "1 or 3 nodes"),
        (None, {"redis": 70_000}, ["redis"], "70000 is not a port"),
        (None, {}, ["mysql"], "mysql is not among"),
        (None, {}, [], "nothing is not among"),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    nodes: int | None, clients: dict[str, int | None], services: list[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan.extended(Plan(1, {"kafka": 9092}), nodes, clients, services)


def test_no_two_nodes_share_a_port() -> None:
    with pytest.raises(UsageError, match="port 6380"):
        planned(3, kafka=6380, redis=6379)
    whole = planned(3)
    listening = [
        place for service in ALL for number in (1, 2, 3) for place in whole.listening(service, number)
    ]
    assert len(listening) == len(set(listening)) == 18


def test_three_brokers_know_each_other() -> None:
    whole = planned(3, kafka=9192)
    settings = kafka.properties(whole, 2, Path("/data of it"))
    assert (
        settings["listeners"] == f"PLAINTEXT://127.0.0.1:9193,CONTROLLER://127.0.0.1:{whole.inner['kafka-2']}"
    )
    assert settings["controller.quorum.voters"].split(",")[2] == f"3@127.0.0.1:{whole.inner['kafka-3']}"
    assert settings["offsets.topic.replication.factor"] == "3"
    assert settings["transaction.state.log.min.isr"] == "2"
    assert "log.dirs=/data of it\n" in kafka.render(settings)


def test_a_missing_topic_is_seen() -> None:
    settings = kafka.properties(planned(), 1, Path("/data"))
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["offsets.topic.replication.factor"] == "1"


def test_metadata_is_read() -> None:
    def broker(number: int, rack: bytes | None) -> bytes:
        host = b"127.0.0.1"
        end = struct.pack(">h", -1) if rack is None else struct.pack(">h", len(rack)) + rack
        return struct.pack(">ih", number, len(host)) + host + struct.pack(">i", 9092) + end

    def partition(number: int, *in_sync: int) -> bytes:
        copies = struct.pack(">iiii", 3, 1, 2, 3)
        return (
            struct.pack(">hii", 0, number, 1)
            + copies
            + struct.pack(f">{1 + len(in_sync)}i", len(in_sync), *in_sync)
        )

    brokers = struct.pack(">ii", 0, 2) + broker(1, None) + broker(3, b"rack") + struct.pack(">i", 1)
    assert kafka.read_metadata(brokers + struct.pack(">i", 0)) == ([1, 3], [])
    topic = struct.pack(">ihh", 1, 0, 3) + b"log" + struct.pack(">bi", 0, 2)
    answer = brokers + topic + partition(0, 3, 1, 2) + partition(1, 3, 1)
    assert kafka.read_metadata(answer).lagging == [("log", 1)]


def test_each_node_of_cassandra_has_an_address_and_an_equal_part() -> None:
    whole = planned(3, cassandra=9142)
    settings = [cassandra.yaml(whole, number, Path("/data")) for number in (1, 2, 3)]
    assert [each["listen_address"] for each in settings] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert {each["native_transport_port"] for each in settings} == {9142}
    tokens = [int(str(each["initial_token"])) for each in settings]
    assert tokens[0] == -(2**63)
    assert tokens[1] - tokens[0] == pytest.approx(2**64 / 3)
    assert tokens[2] - tokens[1] == pytest.approx(2**64 / 3)
    assert settings[0]["commitlog_sync"] == "batch"


def test_redis_evicts_nothing(tmp_path: Path) -> None:
    text = redis.render(redis.Redis(planned(redis=7001), 1, tmp_path), tmp_path / "a folder")
    lines = text.splitlines()
    assert "maxmemory-policy noeviction" in lines
    assert "bind 127.0.0.1" in lines
    assert f'dir "{tmp_path}/a folder"' in lines
    assert "cluster" not in text
    three = planned(3, redis=7001)
    text = redis.render(redis.Redis(three, 3, tmp_path), tmp_path)
    assert "port 7003" in text.splitlines()
    assert f"cluster-port {three.inner['redis-3']}" in text.splitlines()


def test_replicas_of_redis_come_after_the_masters() -> None:
    whole = plan.extended(None, 3, {"redis": 7001}, ALL, replicas=1)
    assert (len(whole.numbers("redis")), len(whole.numbers("kafka"))) == (6, 3)
    assert whole.client("redis", 6) == ("127.0.0.1", 7006)
    assert plan.extended(whole, 3, {}, ALL) == whole


def test_a_pom_names_all_artifacts() -> None:
    text = jars.pom(kafka.JARS, kafka.ARTIFACTS)
    assert text.count("<dependency>") == 3
    assert "<artifactId>kafka_2.13</artifactId>" in text


def test_folders_are_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert Services().folder == tmp_path / "comporta" / "services"
    assert folders.cache() == Path.home() / ".cache" / "comporta"


def test_a_lock_that_was_deleted_meanwhile_is_none(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with folders.locked(path, lambda: pytest.fail("nobody has it")):
        assert path.exists()
    waited = []
    with folders.locked(path, lambda: None):
        path.unlink()
        with folders.locked(path, lambda: waited.append(True)):
            assert not waited


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
    assert ports.find(["127.0.0.1"], 1) != ports.find(["127.0.0.1"], 1, {ports.find(["127.0.0.1"], 1)})


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    stranger = Process(os.getpid(), 1)
    assert not stranger.is_alive()
    stranger.send(signal.SIGKILL)
    processes.end([stranger], 1)
    stranger.write(tmp_path / "pid")
    assert processes.read(tmp_path / "pid") is None


def test_a_file_without_a_process_is_none(tmp_path: Path) -> None:
    assert processes.read(tmp_path / "pid") is None
    for content in ("", "17", '{"pid": "?"}', json.dumps({"pid": 1})):
        (tmp_path / "pid").write_text(content)
        assert processes.read(tmp_path / "pid") is None


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_process_is_ended(tmp_path: Path, stubborn: bool) -> None:
    handler = "signal.SIG_IGN" if stubborn else "signal.SIG_DFL"
    program = (
        f"import signal, time; signal.signal(signal.SIGTERM, {handler}); print(1, flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    process = processes.start([sys.executable, "-c", program], log, tmp_path)
    process.write(tmp_path / "pid")
    assert processes.read(tmp_path / "pid") == process
    while not log.read_text():
        time.sleep(0.01)
    process.send(signal.SIGSTOP)
    processes.end([process], 0.3)
    assert not process.is_alive()


def test_a_command_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ComportaError, match="nothing-such cannot be started"):
        processes.start([tmp_path / "nothing-such"], tmp_path / "log", tmp_path)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ComportaError, match=r"java 17 or newer, redis-server.*openjdk-17-jre-headless redis-server"
    ):
        Services(tmp_path / "services").up()
    assert not (tmp_path / "services").exists()


def test_a_folder_without_services_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert Services(tmp_path).down(delete=True) == []
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
