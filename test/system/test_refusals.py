"""Places that are not there, or hold something else: one line that says what to do, of `run` and `init`."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cassandra.query import SimpleStatement
from cluster import Cluster
from cluster import cluster as cluster
from conftest import COMMAND, Workplace, wait_until
from kafka_topics import Topic

from comporta import addresses
from comporta.sinks.cassandra.session import Session

NUMBERS = """
import comporta as c
pipeline = c.Pipeline("numbers", dedup=c.by_id("id", within="1h"), metrics=[c.count("lines")])
@pipeline.transform
def parse(line):
    return {"id": line.decode()}
"""


@pytest.fixture
def file(workplace: Workplace) -> Path:
    workplace.write("a.log", "1\n2\n")
    return workplace.write("numbers.py", NUMBERS)


@pytest.fixture
def port() -> Iterator[int]:
    """One at which nothing listens, and nobody else will: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def refused(workplace: Workplace, *words: object) -> str:
    """What a command says that fails: it must be a line."""
    done = workplace.run(*words, status=1)
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if line.startswith("comporta: error: ")]
    return line


def waits(workplace: Workplace, *words: object, status: int = 0) -> str:
    """The line that says what a command waits for; it is ended then, as a user ends it, with that status."""
    log = workplace.folder / f"{words[0]}.log"
    with log.open("w") as output:
        process = workplace.start(*words, stderr=output, env={"COMPORTA_DRAIN_TIMEOUT": "2s"})

    def said() -> list[str]:
        return [line for line in log.read_text().splitlines() if "waiting for" in line]

    line, *_ = wait_until(said, "it says what it waits for")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == status
    assert "Traceback" not in log.read_text()
    return line


PLACES = {
    "kafka": ("--source", "kafka://HOST/numbers"),
    "cassandra": (
        "--source",
        "file:a.log",
        "--store",
        "cassandra://HOST/numbers",
        "--dead",
        "kafka://HOST/dead",
        "--claims",
        "redis://HOST",
    ),
    "redis": ("--source", "file:a.log", "--claims", "redis://HOST"),
}


def places(service: str, host: str) -> list[str]:
    return [word.replace("HOST", host) for word in PLACES[service]]


@pytest.mark.parametrize("service", ["kafka", "cassandra", "redis"])
def test_a_wrong_host_is_named_while_it_is_waited_for(
    workplace: Workplace, file: Path, port: int, service: str
) -> None:
    status = 1 if service == "redis" else 0  # what has been read waits for its claims, and is not finished
    said = waits(workplace, "run", file, *places(service, f"127.0.0.1:{port}"), status=status)
    assert f"127.0.0.1:{port}" in said
    assert "nothing listens there: is it up, and is the address right?" in said
    said = waits(workplace, "run", file, *places(service, "nowhere.invalid"), status=status)
    assert "nowhere.invalid" in said
    assert "no address is known for that name: is it right?" in said


def test_claims_in_cassandra_are_refused_before_it_is_waited_for(
    workplace: Workplace, file: Path, port: int
) -> None:
    places = ("--store", f"cassandra://127.0.0.1:{port}/numbers", "--dead", f"kafka://127.0.0.1:{port}/dead")
    line = refused(workplace, "run", file, "--source", "file:a.log", *places)
    assert "numbers deduplicates, and ids cannot be claimed in Cassandra: give --claims redis://" in line


def test_stdin_that_is_closed_is_refused(workplace: Workplace, file: Path) -> None:
    words = ("sh", "-c", f"exec {COMMAND} run {file} --source - <&-")
    done = subprocess.run(words, cwd=workplace.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--source - reads stdin, which is closed" in done.stderr


def test_init_waits_in_words_too(cluster: Cluster, file: Path, port: int) -> None:
    init = ("init", file, "--store")
    ended = -signal.SIGTERM
    said = waits(cluster.workplace, *init, f"cassandra://127.0.0.1:{port}/numbers", status=ended)
    assert "nothing listens there" in said
    source = f"kafka://127.0.0.1:{port}/numbers"
    said = waits(cluster.workplace, *init, cluster.store, "--source", source, status=ended)
    assert f"waiting for Kafka at 127.0.0.1:{port}: nothing listens there" in said


def test_a_topic_that_is_missing(cluster: Cluster, file: Path) -> None:
    cluster.topic = Topic.of("missing")
    said = refused(cluster.workplace, "init", file, *cluster.places(file))
    assert f"there is no topic 'missing' at {cluster.services.kafka}: make it, or name another one" in said
    assert said == refused(cluster.workplace, "run", file, *cluster.places(file), "--claims", cluster.claims)


def test_a_keyspace_that_is_missing_or_holds_other_tables(cluster: Cluster, file: Path) -> None:
    run = ("run", file, *cluster.places(file), "--claims", cluster.claims)
    name = addresses.cassandra(cluster.store).keyspace
    said = refused(cluster.workplace, *run)
    assert f"the keyspace {name} does not exist; make them with" in said
    assert f"`comporta init FILE.py --store {cluster.store}`" in said
    ask(
        cluster,
        f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}",
        f"CREATE TABLE {name}.metrics (id int PRIMARY KEY, count int)",
    )
    assert "holds no tables of Comporta's" in refused(cluster.workplace, *run)
    said = refused(cluster.workplace, "init", file, *cluster.places(file))
    assert "the table metrics there is not Comporta's" in said
    assert "give a keyspace of its own" in said


def test_tables_of_a_version_to_come(cluster: Cluster, file: Path) -> None:
    cluster.init(file)
    name = addresses.cassandra(cluster.store).keyspace
    ask(cluster, f"UPDATE {name}.schema_version SET version = 99 WHERE part = 'tables'")
    for command in (("run", "--claims", cluster.claims), ("init",)):
        said = refused(cluster.workplace, command[0], file, *cluster.places(file), *command[1:])
        assert (
            "its tables are of version 99, and this Comporta knows version 1: use the one that made" in said
        )


def ask(cluster: Cluster, *statements: str) -> None:
    """Do something to Cassandra as somebody with cqlsh would."""
    session = Session(addresses.cassandra(cluster.store))
    for statement in statements:
        session.execute(SimpleStatement(statement))
    session.close()
