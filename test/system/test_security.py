"""Passwords and certificates, the right ones and others, to Kafka, Cassandra and Redis: the real command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from certificates import certificate
from cluster import Cluster
from conftest import Workplace, wait_until
from own_cassandra import OwnCassandra
from own_kafka import PASSWORD, USER, OwnKafka
from real_services import RealServices, watched
from redis_servers import RedisServer
from transforms import IDS, changing, check_changing

from comporta.services import Services

NUMBERS = """
import comporta as c
pipeline = c.Pipeline("numbers", dedup=c.by_id("id", within="1h"), metrics=[c.count("lines")])
@pipeline.transform
def parse(line):
    return {"id": line.decode()}
"""
LETTERS = "kafka://127.0.0.1/numbers.dead"  # there are none
RIGHTS = "~comporta:claims:* +@hash +@connection +info +eval +evalsha +time +exists +unlink +pexpireat"
WRONG = "wrong"  # stands for a file that nobody trusts


class Secured:
    """One node of each service, in TLS and for those with passwords, and the `settings` that are right."""

    def __init__(self, folder: Path) -> None:
        self.kafka = OwnKafka(_made(folder / "kafka"))
        self.cassandra = OwnCassandra(folder / "cassandra")
        made, key = certificate(folder, "redis")
        self.redis = RedisServer(folder / "redis", *_options(made, key), is_tls=True)
        wrong, _ = certificate(folder, WRONG)
        wrong.with_suffix(".txt").write_text("not this one\n")
        self.wrong = str(wrong.with_suffix(""))
        self.settings = {
            "KAFKA_USERNAME": USER,
            "KAFKA_PASSWORD_FILE": _password(folder / "kafka", PASSWORD),
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
            "KAFKA_CA_FILE": self.kafka.certificate,
            "CASSANDRA_USERNAME": self.cassandra.user,
            "CASSANDRA_PASSWORD_FILE": _password(folder / "cassandra", self.cassandra.password),
            "CASSANDRA_CA_FILE": self.cassandra.certificate,
            "CASSANDRA_CERTIFICATE_FILE": self.cassandra.client,
            "CASSANDRA_KEY_FILE": self.cassandra.client_key,
            "REDIS_USERNAME": "able",
            "REDIS_PASSWORD": "s3cret",
            "REDIS_CA_FILE": made,
        }

    def start(self) -> None:
        self.cassandra.launch()
        self.kafka.start()
        self.cassandra.start()

    def allow(self, user: str) -> None:
        """Let a user of Redis do what claims need."""
        client = redis.Redis(
            "127.0.0.1",
            port=self.redis.port,
            username="admin",
            password="s3cret",
            ssl=True,
            ssl_ca_certs=str(self.settings["REDIS_CA_FILE"]),
        )
        client.execute_command("ACL", "SETUSER", user, *RIGHTS.split())

    def stop(self) -> None:
        self.redis.kill()
        self.kafka.stop()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _password(folder: Path, password: str) -> Path:
    path = folder / "password"
    path.write_text(f"{password}\n")
    return path


def _options(made: Path, key: Path) -> list[str]:
    """Redis with users who may do what claims need, next to nothing, and everything."""
    files = f"--tls-cert-file {made} --tls-key-file {key} --tls-ca-cert-file {made} --tls-auth-clients no"
    users = f"--user able on >s3cret {RIGHTS} --user unable on >s3cret +@connection +info"
    return f"{files} --user default off {users} --user admin on >s3cret ~* +@all".split()


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    with watched(folder / "cassandra"):
        made = Secured(folder)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.fixture(autouse=True)
def _environment(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in secured.settings.items():
        monkeypatch.setenv(f"COMPORTA_{name}", str(value))


@pytest.fixture
def cluster(secured: Secured, workplace: Workplace) -> Iterator[Cluster]:
    """A topic that is made by somebody else, and all that the command is told of it and the rest."""
    claims = f"127.0.0.1:{secured.redis.port}"
    services = RealServices(
        secured.kafka.server(), secured.cassandra.address, claims, Services(workplace.folder)
    )
    made = Cluster(services, workplace)
    made.fill([*(b"%d" % number for number in range(12_000)), b"not a number"])
    made.topic.server = secured.kafka.server("SASL_SSL")
    made.claims = f"rediss://{claims}"
    yield made
    made.close()


def test_who_is_let_in_counts_exactly(cluster: Cluster) -> None:
    file = cluster.workplace.write("changing.py", changing())
    cluster.init(file)
    cluster.finish(file)
    check_changing(cluster.workplace, file, "--store", cluster.store)
    ledger = cluster.ledger(file)
    assert (ledger["consumed"], ledger["counted"], ledger["dead"]) == (12_001, IDS, 1)
    assert len(cluster.letters(file)) == 1


@pytest.mark.parametrize(
    ("service", "settings", "words", "see"),
    [
        ("kafka", {"PASSWORD_FILE": f"{WRONG}.txt"}, "does not let in 'alice'", "PASSWORD_FILE"),
        ("kafka", {"USERNAME": ""}, "asks for a user (PLAIN, SCRAM-SHA-256)", "USERNAME"),
        ("kafka", {"CA_FILE": f"{WRONG}.pem"}, "certificate is not trusted", "CA_FILE"),
        ("kafka", {"TLS": "off"}, "speaks TLS", "TLS"),
        ("cassandra", {"PASSWORD_FILE": f"{WRONG}.txt"}, "refuses this user or password", "PASSWORD_FILE"),
        ("cassandra", {"USERNAME": ""}, "refuses this user or password", "USERNAME"),
        ("cassandra", {"CA_FILE": f"{WRONG}.pem"}, "certificate is not trusted", "CA_FILE"),
        ("cassandra", {"CERTIFICATE_FILE": "", "KEY_FILE": ""}, "refuses our TLS", "CERTIFICATE_FILE"),
        (
            "cassandra",
            {"CERTIFICATE_FILE": f"{WRONG}.pem", "KEY_FILE": f"{WRONG}.key"},
            "refuses our TLS",
            "CERTIFICATE_FILE",
        ),
        ("cassandra", {"TLS": "off"}, "speaks TLS", "TLS"),
        ("redis", {"PASSWORD": "wr0ng"}, "refuses the user or the password", "PASSWORD_FILE"),
        ("redis", {"USERNAME": "", "PASSWORD": ""}, "refuses the user or the password", "USERNAME"),
        ("redis", {"CA_FILE": f"{WRONG}.pem"}, "certificate is not trusted", "CA_FILE"),
        ("redis", {"TLS": "off"}, "speaks TLS", "TLS"),
    ],
)
def test_who_is_not_let_in_is_told_why_in_a_line(
    secured: Secured, workplace: Workplace, service: str, settings: dict[str, str], words: str, see: str
) -> None:
    file = workplace.write("numbers.py", NUMBERS)
    workplace.write("numbers.log", "1\n2\n")
    places = {
        "kafka": ("--source", f"kafka://{secured.kafka.server('SASL_SSL')}/numbers"),
        "cassandra": (
            *("--store", f"cassandra://{secured.cassandra.address}/numbers"),
            *("--dead", LETTERS, "--claims", "redis://127.0.0.1:1"),
        ),
        "redis": ("--claims", f"rediss://127.0.0.1:{secured.redis.port}"),
    }
    where = places[service]
    if service != "kafka":
        where += ("--source", "file:numbers.log")
    prefix = f"COMPORTA_{service.upper()}_"
    environment = {prefix + name: value.replace(WRONG, secured.wrong) for name, value in settings.items()}
    done = workplace.run("run", file, *where, "--until-end", status=1, env=environment)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("comporta: error: ")]
    assert words in line
    assert prefix + see in line
    assert "Traceback" not in done.stderr
    assert "wr0ng" not in done.stderr


def test_rights_that_are_missing_are_named_and_may_be_given_meanwhile(
    secured: Secured, workplace: Workplace
) -> None:
    file = workplace.write("numbers.py", NUMBERS)
    workplace.write("numbers.log", "1\n2\n1\n")
    log = workplace.folder / "log"
    with log.open("w") as output:
        where = ("--source", "file:numbers.log", "--claims", f"rediss://127.0.0.1:{secured.redis.port}")
        environment = {"COMPORTA_REDIS_USERNAME": "unable"}
        run = workplace.start("run", file, *where, "--until-end", env=environment, stderr=output)
    words = "forbids a command that claims need: this user has no permissions to run the 'evalsha' command"
    wait_until(lambda: words in log.read_text(), "it is said what is missing")
    secured.allow("unable")
    assert run.wait(60) == 0
    assert workplace.counts(file, "lines") == {(): 2}
