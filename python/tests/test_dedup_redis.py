from __future__ import annotations

import logging
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import certificate
from claims_contract import DAY, ClaimsContract, Connect
from hypothesis import given, settings
from hypothesis import strategies as st
from real_services import RealServices
from redis_servers import RedisServer, cluster, server

from comporta.dedup import ClaimStore, open_claims, redis_nodes
from comporta.dedup.redis import RedisClaims
from comporta.dedup.redis_script import COUNTERS
from comporta.errors import StoreError, UsageError
from comporta.payloads import Claim


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with server(tmp_path_factory.mktemp("redis"), "--enable-debug-command", "yes") as started:
        yield started


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RedisServer]:
    """One that a test may kill."""
    with server(tmp_path / "redis") as started:
        yield started


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def connect_to(url: str) -> Connect:
    run = secrets.token_hex(8)
    return lambda generation, within: open_claims(url, run + generation, within)


def many(count: int, partition: str = "a/0", start: int = 0) -> list[Claim]:
    return [(b"event-%d" % number, partition, number) for number in range(start, start + count)]


def opened(url: str, within: float = DAY) -> RedisClaims:
    claims = open_claims(url, secrets.token_hex(8), within)
    assert isinstance(claims, RedisClaims)
    return claims


class TestRedisClaims(ClaimsContract):
    @pytest.fixture
    def connect(self, services: RealServices) -> Connect:
        return connect_to(f"redis://{services.redis}")


class TestRedisClusterClaims(ClaimsContract):
    @pytest.fixture
    def connect(self, three: list[RedisServer]) -> Connect:
        return connect_to(three[1].url)


@pytest.mark.parametrize("offset", [0, 2**32, 2**63 - 1])
def test_positions_of_any_size_are_told_apart(own: RedisServer, offset: int) -> None:
    claims = opened(own.url)
    assert claims.claim([(b"a", "a/0", offset)]) == b"\x01"
    for partition, other in [("a/0", offset ^ 1), ("a/0", offset ^ 2**40), ("a/1", offset)]:
        assert claims.claim([(b"a", partition, other), (b"a", "a/0", offset)]) == b"\x00\x01"


def test_a_call_may_have_any_length(own: RedisServer) -> None:
    claims = opened(own.url)
    everything = many(20_123)
    assert claims.claim([*everything, *many(20_123, "a/1")]) == b"\x01" * 20_123 + b"\x00" * 20_123
    assert claims.claim([(b"same", "a/0", number) for number in range(9000)]) == b"\x01" + b"\x00" * 8999


def test_memory_of_an_id_is_small_and_segments_grow(own: RedisServer) -> None:
    claims, client = opened(own.url), own.client
    count = 600_000
    before = client.info("memory")["used_memory"]
    for start in range(0, count, 20_000):
        assert claims.claim(many(20_000, start=start)) == b"\x01" * 20_000
    assert (client.info("memory")["used_memory"] - before) / count < 49  # a third of SET's 147
    assert claims.claim(many(20_000)) == b"\x01" * 20_000
    assert claims.claim(many(20_000, "a/1", count - 20_000)) == b"\x00" * 20_000
    client.flushall()


def keys(own: RedisServer) -> list[bytes]:
    return sorted(own.client.scan_iter("comporta:*"))


def test_claims_live_through_every_boundary_of_segments_and_end_after_their_window(own: RedisServer) -> None:
    own.client.flushall()
    within = 1.0
    claims = opened(own.url, within)
    made: dict[int, float] = {}
    ended: dict[int, float] = {}
    started = time.monotonic()
    number = 0
    while time.monotonic() < started + 4 * within:
        made[number] = time.monotonic()
        assert claims.claim([(b"%d" % number, "a/0", number)]) == b"\x01"
        number += 1
        for old in range(number):
            if old not in ended:
                asked = time.monotonic()
                # A position of its own, so that one that takes it over shows it.
                if claims.claim([(b"%d" % old, "a/1", old)]) == b"\x01":
                    ended[old] = time.monotonic()
                    assert ended[old] - made[old] >= within
                elif asked - made[old] > 5 * within:
                    raise AssertionError("a claim does not end")
        time.sleep(0.02)
    assert ended
    deadline = time.monotonic() + 30
    while len(keys(own)) > 4:  # the shard's own key and live segments: others were deleted
        assert time.monotonic() < deadline
        claims.claim([(b"another", "a/0", 0)])
        time.sleep(0.1)


def test_keys_expire_by_themselves(own: RedisServer) -> None:
    own.client.flushall()
    opened(own.url, 3600).claim(many(10))
    lives = [own.client.pttl(key) for key in keys(own)]
    assert len(lives) == 2
    assert all(3600_000 < life <= 1.5 * 3600_000 + 60_000 for life in lives)


def test_a_longer_window_reaches_the_claims_that_are_made_from_then_on(own: RedisServer) -> None:
    generation = secrets.token_hex(8)
    open_claims(own.url, generation, 1).claim([(b"a", "a/0", 1)])
    longer = open_claims(own.url, generation, DAY)
    longer.claim([(b"b", "a/0", 2)])
    time.sleep(2)
    assert longer.claim([(b"b", "a/0", 3), (b"b", "a/0", 2)]) == b"\x00\x01"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.binary(max_size=3) | st.binary(min_size=30, max_size=33),
                st.sampled_from(["a/0", "a/1"]),
                st.integers(0, 3) | st.integers(0, 2**63 - 1),
            ),
            max_size=30,
        ),
        max_size=12,
    )
)
def test_it_decides_as_a_dictionary_would(own: RedisServer, calls: list[list[Claim]]) -> None:
    claims = opened(own.url)
    model: dict[bytes, tuple[str, int]] = {}
    for call in calls:
        expected = bytes(
            model.setdefault(event, (partition, offset)) == (partition, offset)
            for event, partition, offset in call
        )
        assert claims.claim(call) == expected


def test_a_loss_is_said_and_counted(own: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    claims = opened(own.url)
    claims.claim(many(10))
    claims.claim(many(10))
    own.client.flushall()
    assert claims.claim(many(5, "a/1")) == b"\x01" * 5
    assert claims.losses == 1
    assert "lost claims" in caplog.text
    claims.claim(many(5, "a/1"))
    assert claims.losses == 1


def test_a_loss_is_seen_although_others_have_counted_on(own: RedisServer) -> None:
    generation = secrets.token_hex(8)
    claims, other = (open_claims(own.url, generation, DAY) for _ in range(2))
    claims.claim(many(1))
    own.client.flushall()
    for _ in range(5):
        other.claim(many(1))
    claims.claim(many(1))
    assert isinstance(claims, RedisClaims)
    assert claims.losses == 1


def test_the_loss_of_the_last_packs_is_seen_although_others_have_counted_on(own: RedisServer) -> None:
    own.client.flushall()
    claims, other = two_that_count_apart(own.url)
    other.claim(many(1))
    before = {key: own.client.dump(key) for key in keys(own)}
    claims.claim(many(10))
    for key, content in before.items():  # as a replica has it that had not heard of the last pack
        own.client.restore(key, 0, content, replace=True)
    for _ in range(5):
        other.claim(many(1))
    claims.claim(many(1))
    assert (claims.losses, other.losses) == (1, 0)


def two_that_count_apart(url: str) -> tuple[RedisClaims, RedisClaims]:
    """Two processes of one generation; by chance they would share a counter now and then."""
    generation = secrets.token_hex(8)
    first, other = (RedisClaims(url, generation, DAY) for _ in range(2))
    other._counter = (first._counter + 1) % COUNTERS
    return first, other


def test_the_loss_of_one_segment_is_a_loss(own: RedisServer) -> None:
    own.client.flushall()
    claims = opened(own.url)
    claims.claim(many(10))
    own.client.delete(keys(own)[1])
    assert claims.claim(many(10, "a/1")) == b"\x01" * 10
    assert claims.losses == 1
    assert claims.claim(many(10)) == b"\x00" * 10


def test_what_has_expired_is_no_loss(own: RedisServer) -> None:
    claims = opened(own.url, 0.2)
    claims.claim(many(10))
    time.sleep(0.5)
    own.client.flushall()
    claims.claim(many(10))
    assert claims.losses == 0


def test_scripts_that_redis_forgot_are_sent_again(own: RedisServer) -> None:
    claims = opened(own.url)
    claims.claim(many(10))
    own.client.script_flush()
    assert claims.claim(many(4000, "a/1")) == b"\x00" * 10 + b"\x01" * 3990


def test_a_script_that_cannot_be_sent_again_at_once_is_later(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = opened(own.url)
    claims.claim(many(10))
    own.client.script_flush()
    send, failures = redis_nodes._send, [ConnectionError("reset by peer")]

    def failing(connection: object, *command: object) -> None:
        if command[0] == "EVAL" and failures:
            raise failures.pop()
        send(connection, *command)  # type: ignore[arg-type]

    monkeypatch.setattr(redis_nodes, "_send", failing)
    assert claims.claim(many(4000, "a/1")) == b"\x00" * 10 + b"\x01" * 3990
    assert not failures


def test_a_restart_is_waited_for(mortal: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    claims = opened(mortal.url)
    claims.claim(many(2000))
    mortal.kill()
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(claims.claim(many(5000, "a/1"))))
    thread.start()
    deadline = time.monotonic() + 30
    while "waiting for Redis" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    mortal.start()
    thread.join(60)
    assert answers == [b"\x00" * 2000 + b"\x01" * 3000]
    assert "answers again" in caplog.text
    assert claims.losses == 0


def test_a_call_that_was_cut_off_is_repeated(mortal: RedisServer) -> None:
    claims = opened(mortal.url)
    stop = threading.Event()

    def cut() -> None:
        while not stop.wait(0.02):
            mortal.client.client_kill_filter(_type="normal", skipme=True)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        for _ in range(20):
            assert claims.claim(many(3000)) == b"\x01" * 3000
    finally:
        stop.set()
        thread.join()
    assert claims.claim(many(3000, "a/1")) == b"\x00" * 3000
    assert claims.losses == 0


def test_one_that_is_full_is_waited_for(mortal: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    claims = opened(mortal.url)
    mortal.client.config_set("maxmemory", "1")
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(claims.claim(many(100))))
    thread.start()
    deadline = time.monotonic() + 30
    while "raise its maxmemory" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    mortal.client.config_set("maxmemory", "0")
    thread.join(60)
    assert answers == [b"\x01" * 100]


def refusal(url: str) -> str:
    with pytest.raises((StoreError, UsageError)) as error:
        opened(url)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_one_that_evicts_is_refused(tmp_path: Path) -> None:
    with server(tmp_path / "redis", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as evicts:
        assert "allkeys-lru; set it to noeviction" in refusal(evicts.url)


def test_a_replica_is_refused(own: RedisServer, tmp_path: Path) -> None:
    with server(tmp_path / "redis", "--replicaof", "127.0.0.1", str(own.port)) as replica:
        assert f"read-only replica; give its master, 127.0.0.1:{own.port}" in refusal(replica.url)


def test_several_nodes_that_are_no_cluster_are_refused(own: RedisServer) -> None:
    assert "no cluster" in refusal(f"{own.url},127.0.0.1:{own.port}")


def test_a_database_of_a_cluster_is_refused(three: list[RedisServer]) -> None:
    assert "SELECT is not allowed in cluster mode" in refusal(f"{three[0].url}/1")


def test_what_is_no_redis_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            for _ in range(2):
                stream, _ = listening.accept()
                with stream:
                    stream.recv(1000)
                    stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        assert "is no Redis" in refusal(f"redis://127.0.0.1:{listening.getsockname()[1]}")


RIGHTS = "+@hash +@connection +info +eval +evalsha +time +exists +unlink +pexpireat +cluster|slots"
ALLOWED = f"~comporta:claims:* {RIGHTS}"


class TestUsers:
    @pytest.fixture
    def guarded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
        with server(tmp_path / "redis") as started:
            started.client.execute_command("ACL", "SETUSER", "comporta", "on", ">s3cret", *ALLOWED.split())
            started.client.execute_command(
                "ACL", "SETUSER", "unable", "on", ">s3cret", "+@connection", "+info"
            )
            started.client.execute_command("ACL", "SETUSER", "default", "off")
            (tmp_path / "password").write_text("s3cret\n")
            monkeypatch.setenv("COMPORTA_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
            yield started

    def test_a_user_needs_few_rights(self, guarded: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPORTA_REDIS_USERNAME", "comporta")
        assert opened(guarded.url).claim(many(10)) == b"\x01" * 10

    def test_one_without_them_is_said(self, guarded: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPORTA_REDIS_USERNAME", "unable")
        claims = opened(guarded.url)
        with pytest.raises(StoreError, match="forbids a command that claims need"):
            claims.claim(many(1))

    def test_a_wrong_password_is_said(self, guarded: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPORTA_REDIS_USERNAME", "comporta")
        monkeypatch.delenv("COMPORTA_REDIS_PASSWORD_FILE")
        monkeypatch.setenv("COMPORTA_REDIS_PASSWORD", "wr0ng")
        text = refusal(guarded.url)
        assert "refuses the user or the password" in text
        assert "wr0ng" not in text

    def test_no_password_is_said(self, guarded: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("COMPORTA_REDIS_PASSWORD_FILE")
        assert "COMPORTA_REDIS_PASSWORD_FILE" in refusal(guarded.url)


class TestTLS:
    @pytest.fixture
    def encrypted(self, tmp_path: Path) -> Iterator[RedisServer]:
        made, key = certificate(tmp_path, "server")
        files = ["--tls-cert-file", str(made), "--tls-key-file", str(key), "--tls-ca-cert-file", str(made)]
        started = RedisServer(tmp_path / "redis", *files, "--tls-auth-clients", "no", is_tls=True)
        yield started
        started.kill()

    def test_claims_are_made_in_tls(
        self, encrypted: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPORTA_REDIS_CA_FILE", str(tmp_path / "server.pem"))
        assert opened(f"rediss://127.0.0.1:{encrypted.port}").claim(many(3000)) == b"\x01" * 3000
        assert opened(f"redis://127.0.0.1:{encrypted.port}").claim(many(10)) == b"\x01" * 10

    def test_a_certificate_that_nobody_trusts_is_refused(
        self, encrypted: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPORTA_REDIS_CA_FILE", str(certificate(tmp_path, "other")[0]))
        assert "its certificate is not trusted" in refusal(f"rediss://127.0.0.1:{encrypted.port}")

    def test_a_name_that_the_certificate_has_not_is_refused(
        self, encrypted: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPORTA_REDIS_CA_FILE", str(tmp_path / "server.pem"))
        assert "its certificate is not trusted" in refusal(f"rediss://localhost:{encrypted.port}")
        monkeypatch.setenv("COMPORTA_REDIS_CHECK_HOSTNAME", "off")
        assert opened(f"rediss://localhost:{encrypted.port}").claim(many(1)) == b"\x01"

    def test_one_with_tls_that_is_not_asked_for_is_said(self, encrypted: RedisServer) -> None:
        assert "speaks TLS: give rediss:// instead" in refusal(f"redis://127.0.0.1:{encrypted.port}")

    def test_one_without_tls_is_said(
        self, own: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(redis_nodes, "TIMEOUT", 0.5)
        url = f"rediss://127.0.0.1:{own.port}"
        threading.Thread(target=lambda: opened(url), daemon=True).start()  # it may be given TLS yet
        deadline = time.monotonic() + 30
        while "does not answer in TLS" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)


class TestCluster:
    def test_claims_are_spread_over_all_nodes(self, three: list[RedisServer]) -> None:
        claims: ClaimStore = opened(three[0].url)
        assert claims.claim(many(30_000)) == b"\x01" * 30_000
        assert claims.claim(many(30_000, "a/1")) == b"\x00" * 30_000
        sizes = [sum(1 for _ in node.client.scan_iter("comporta:*")) for node in three]
        assert min(sizes) >= 10

    def test_slots_that_move_take_their_claims_along(self, three: list[RedisServer]) -> None:
        claims = opened(three[0].url)
        claims.claim(many(5000))
        command = ["redis-cli", "--cluster", "rebalance", f"127.0.0.1:{three[0].port}", "--cluster-weight"]
        identity = three[2].client.execute_command("CLUSTER MYID")
        weight = f"{identity.decode() if isinstance(identity, bytes) else identity}=0.2"
        moving = subprocess.Popen([*command, weight, "--cluster-threshold", "1"], stdout=subprocess.DEVNULL)
        while moving.poll() is None:
            assert claims.claim(many(5000)) == b"\x01" * 5000
            assert claims.claim(many(5000, "a/1")) == b"\x00" * 5000
        assert moving.returncode == 0
        assert claims.claim(many(5000, "a/1")) == b"\x00" * 5000
        assert claims.losses == 0

    def test_a_node_that_restarts_is_waited_for(
        self, three: list[RedisServer], caplog: pytest.LogCaptureFixture
    ) -> None:
        claims = opened(three[0].url)
        claims.claim(many(5000))
        three[1].kill()
        answers: list[bytes] = []
        thread = threading.Thread(target=lambda: answers.append(claims.claim(many(5000, "a/1"))))
        thread.start()
        deadline = time.monotonic() + 60
        while "waiting for Redis" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        three[1].start()
        thread.join(120)
        assert answers == [b"\x00" * 5000]
        assert claims.losses == 0
