from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka_topics import Topic
from kafka_topics import broker as broker
from own_kafka import PASSWORD, USER, OwnKafka
from real_services import RealServices
from steps import letter

from comporta import addresses, brokers, consumer_groups, waiting
from comporta.addresses import KafkaAddress
from comporta.errors import SourceError, StoreError
from comporta.letters import letter_writer, open_letters


def address_of(server: str, topic: str | None = None) -> KafkaAddress:
    return addresses.kafka(f"kafka://{server}/{topic or f'test-{uuid.uuid4().hex}'}")


class TestTopics:
    def test_ids_are_sixteen_bytes_that_stay(self) -> None:
        first, second = Topic(), Topic(3)
        address = addresses.kafka(f"{first.url},{second.name}")
        ids = brokers.topic_ids(address)
        assert set(ids) == {first.name, second.name}
        assert len({bytes.fromhex(id) for id in ids.values()}) == 2
        assert all(len(bytes.fromhex(id)) == 16 for id in ids.values())
        assert brokers.topic_ids(address) == ids

    def test_a_topic_that_is_made_anew_has_another_id(self) -> None:
        topic = Topic()
        before = brokers.topic_ids(addresses.kafka(topic.url))
        topic.delete()
        topic.make()
        after = brokers.topic_ids(addresses.kafka(topic.url))
        assert after.keys() == before.keys()
        assert after != before

    def test_a_topic_that_is_missing_is_said_and_not_made(self, services: RealServices) -> None:
        address = address_of(services.kafka, "comporta-nowhere")
        for failure in (SourceError, StoreError):
            with pytest.raises(failure, match=f"there is no topic 'comporta-nowhere' at {services.kafka}"):
                brokers.topic_ids(address, failure)
        assert brokers.topics(address) == {"comporta-nowhere": None}

    def test_topics_are_made_once(self, services: RealServices) -> None:
        address = address_of(services.kafka)
        assert brokers.ensure_topics(address, partitions=3, config={"retention.ms": "-1"}) == [
            *address.topics
        ]
        (topic,) = brokers.topics(address).values()
        assert topic is not None
        assert (topic.partitions, topic.replication) == ((0, 1, 2), 1)
        assert brokers.ensure_topics(address, partitions=5) == []
        assert brokers.topics(address) == {address.topics[0]: topic}

    def test_as_many_replicas_as_another_topic_has(self, services: RealServices) -> None:
        like = Topic().name
        for model in (like, "comporta-nowhere"):
            address = address_of(services.kafka)
            assert brokers.ensure_topics(address, like=model) == [*address.topics]

    def test_settings_that_are_refused_are_said(self, services: RealServices) -> None:
        with pytest.raises(StoreError, match=r"cannot make the topic .*: .*retention"):
            brokers.ensure_topics(
                address_of(services.kafka), config={"retention.ms": "often"}, failure=StoreError
            )


class Listener:
    """A port that answers each connection with `answer`, or closes it."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self.server = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self._answer(connection.recv(100)))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class TestPortsThatAreNotKafkas:
    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            b"\x00",
            b"\x00\x00\x00\x08wrongnumber",
            b"\x7f\xff\xff\xff\x00\x00\x00\x00",
            b"\xff" * 100,
        ],
    )
    def test_other_answers_are_refused_in_words(self, answer: bytes) -> None:
        listener = Listener(lambda _: answer)
        with pytest.raises(SourceError, match=f"what listens at {listener.server} is not Kafka"):
            brokers.topics(address_of(listener.server))
        listener.close()

    @pytest.mark.parametrize("service", ["cassandra", "redis"])
    def test_other_services_are_refused_in_words(self, services: RealServices, service: str) -> None:
        server = getattr(services, service)
        with pytest.raises(StoreError, match=f"what listens at {server} is not Kafka"):
            brokers.topics(address_of(server), StoreError)

    def test_one_that_closes_is_waited_for(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "SAID_EVERY", 0.1)
        listener = Listener(lambda _: b"")
        failed: list[BaseException] = []

        def work() -> None:
            try:
                brokers.topics(address_of(listener.server))
            except SourceError as error:
                failed.append(error)

        with caplog.at_level(logging.WARNING, "comporta.brokers"):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            wait_for(lambda: len(caplog.messages) >= 2)
        assert caplog.messages[0] == (
            f"waiting for Kafka at {listener.server}: it closed the connection; we speak no TLS,"
            " see COMPORTA_KAFKA_TLS; nothing is lost"
        )
        listener._answer = lambda _: b"+PONG\r\n" * 2  # what ends the wait
        thread.join(60)
        assert [type(error) for error in failed] == [SourceError]
        listener.close()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnKafka]:
    broker = OwnKafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


class TestUsersAndTls:
    @pytest.fixture
    def as_user(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
        def as_user(mechanism: str | None = None, password: str = PASSWORD) -> None:
            (tmp_path / "password").write_text(f"{password}\n")
            monkeypatch.setenv("COMPORTA_KAFKA_USERNAME", USER)
            monkeypatch.setenv("COMPORTA_KAFKA_PASSWORD_FILE", f"{tmp_path}/password")
            if mechanism:
                monkeypatch.setenv("COMPORTA_KAFKA_SASL_MECHANISM", mechanism)

        return as_user

    @pytest.fixture
    def trusting(self, monkeypatch: pytest.MonkeyPatch, own: OwnKafka) -> None:
        monkeypatch.setenv("COMPORTA_KAFKA_CA_FILE", str(own.certificate))

    @pytest.mark.parametrize("mechanism", [None, "PLAIN", "SCRAM-SHA-256"])
    def test_a_user(self, own: OwnKafka, as_user: Callable[..., None], mechanism: str | None) -> None:
        as_user(mechanism)
        self.check(own.server("SASL_PLAINTEXT"))

    @pytest.mark.usefixtures("trusting")
    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
    def test_a_user_in_tls(self, own: OwnKafka, as_user: Callable[..., None], mechanism: str) -> None:
        as_user(mechanism)
        self.check(own.server("SASL_SSL"))

    @pytest.mark.usefixtures("trusting")
    def test_tls_without_a_user(self, own: OwnKafka) -> None:
        self.check(own.server("SSL"))

    def check(self, server: str) -> None:
        """That topics are made, letters written and read."""
        dead = f"kafka://{server}/test-{uuid.uuid4().hex}.dead"
        writer = letter_writer(dead, "access-log")
        assert writer
        writer.write("generation-1", [letter(3)])
        store = open_letters("sqlite:unused.db", "generation-1", dead, "access-log")
        store.replay([("file-1", 3, 0)])
        assert list(store.letters()) == [letter(3)]
        assert [found for _, found in store.replay_after(0, 2)] == [letter(3)]

    @pytest.mark.usefixtures("trusting")
    @pytest.mark.parametrize("listener", ["SASL_PLAINTEXT", "SASL_SSL"])
    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    def test_who_is_not_let_in_is_told_in_a_line(
        self,
        own: OwnKafka,
        as_user: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        listener: str,
        mechanism: str,
    ) -> None:
        monkeypatch.setenv("COMPORTA_KAFKA_TLS", "on" if listener == "SASL_SSL" else "off")
        as_user(mechanism, password="wrong, too")
        said = self.refused(own.server(listener))
        assert f"does not let in 'alice' by {mechanism}" in said
        assert "COMPORTA_KAFKA_PASSWORD_FILE" in said
        assert "wrong, too" not in said

    def test_what_is_not_allowed_is_told_in_a_line(self, own: OwnKafka, as_user: Callable[..., None]) -> None:
        dead = address_of(own.server("SASL_PLAINTEXT"), f"test-{uuid.uuid4().hex}.dead")
        brokers.ensure_topics(address_of(own.server(), dead.topics[0]))
        as_user("PLAIN")
        writer, store = letter_writer(str(dead), "p"), open_letters("", "g", str(dead), "p")
        assert writer
        writer.write("g", [letter(1)])
        own.forbid("Write", dead.topics[0])
        with pytest.raises(StoreError, match=rf"does not allow us that: .*{dead.topics[0]}"):
            writer.write("g", [letter(2)])
        own.forbid("Read", dead.topics[0])
        with pytest.raises(StoreError, match=rf"does not allow us that: .*{dead.topics[0]}"):
            store.letters()
        own.forbid("Describe", dead.topics[0])
        with pytest.raises(StoreError, match=r"does not let us read the topic"):
            store.letters()

    def test_a_group_that_may_not_be_touched_is_told_in_a_line(
        self, own: OwnKafka, as_user: Callable[..., None]
    ) -> None:
        address = address_of(own.server("SASL_PLAINTEXT"))
        as_user("PLAIN")
        assert consumer_groups.leave(address, "group", ["a"]) == []
        own.forbid("Read", "group", what="group")
        with pytest.raises(SourceError, match="does not let this user do anything with the group 'group'"):
            consumer_groups.leave(address, "group", ["a"])

    @pytest.mark.usefixtures("trusting")
    def test_who_names_no_user_is_asked_for_one(self, own: OwnKafka, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "asks for a user (PLAIN, SCRAM-SHA-256)" in self.refused(own.server("SASL_SSL"))
        monkeypatch.setenv("COMPORTA_KAFKA_TLS", "off")
        assert "asks for a user (PLAIN, SCRAM-SHA-256)" in self.refused(own.server("SASL_PLAINTEXT"))

    def test_tls_is_asked_for(self, own: OwnKafka) -> None:
        assert "speaks TLS: set COMPORTA_KAFKA_TLS to on" in self.refused(own.server("SSL"))

    def test_a_certificate_that_is_not_trusted(self, own: OwnKafka, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPORTA_KAFKA_TLS", "on")
        said = self.refused(own.server("SSL"))
        assert "is not trusted" in said
        assert "COMPORTA_KAFKA_CA_FILE" in said

    def refused(self, server: str) -> str:
        with pytest.raises(StoreError) as refusal:
            brokers.topics(address_of(server), StoreError)
        assert "\n" not in str(refusal.value)
        return str(refusal.value)


def test_a_broker_that_is_away_is_waited_for(
    own: OwnKafka, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SAID_EVERY", 0.1)
    dead = f"kafka://{own.server()}/test-{uuid.uuid4().hex}.dead"
    writer, store = letter_writer(dead, "access-log"), open_letters("", "generation-1", dead, "access-log")
    assert writer
    writer.write("generation-1", [letter(1)])
    assert list(store.letters()) == [letter(1)]
    own.stop()
    write = threading.Thread(target=writer.write, args=["generation-1", [letter(2)]], daemon=True)
    with caplog.at_level(logging.WARNING, "comporta.brokers"):
        write.start()
        wait_for(lambda: sum("waiting for Kafka" in message for message in caplog.messages) >= 3)
    assert write.is_alive()
    own.start()
    write.join(60)
    assert not write.is_alive()
    assert list(store.letters()) == [letter(1), letter(2)]
