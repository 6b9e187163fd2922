from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta import addresses
from comporta.addresses import CassandraAddress, KafkaAddress, RedisAddress
from comporta.errors import UsageError

READERS: list[Callable[[str], object]] = [addresses.kafka, addresses.cassandra, addresses.redis]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("kafka://one/access", KafkaAddress(("one:9092",), ("access",))),
        ("kafka://one:1,[::1]:2/a,b?group=g", KafkaAddress(("one:1", "[::1]:2"), ("a", "b"), "g")),
        ("kafka://one/a?group=", KafkaAddress(("one:9092",), ("a",))),
    ],
)
def test_kafka(url: str, address: KafkaAddress) -> None:
    assert addresses.kafka(url) == address
    assert addresses.kafka(str(address)) == address


def test_topics_of_dead_letters_and_replay() -> None:
    address = addresses.kafka("kafka://one/access,errors?group=g")
    assert str(address.dead) == "kafka://one:9092/access.dead"
    assert address.dead.replay == address.replay
    assert str(address.replay) == "kafka://one:9092/access.replay"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("cassandra://one/logs", CassandraAddress(("one",), 9042, "logs")),
        ("cassandra://one:1,two/logs", CassandraAddress(("one", "two"), 1, "logs")),
        ("cassandra://[::1]:1/logs", CassandraAddress(("::1",), 1, "logs")),
    ],
)
def test_cassandra(url: str, address: CassandraAddress) -> None:
    assert addresses.cassandra(url) == address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://one", RedisAddress((("one", 6379),), tls=False)),
        ("rediss://one:1,two/3", RedisAddress((("one", 1), ("two", 6379)), tls=True, database=3)),
        ("redis://[::1]:1/", RedisAddress((("::1", 1),), tls=False)),
    ],
)
def test_redis(url: str, address: RedisAddress) -> None:
    assert addresses.redis(url) == address


@pytest.mark.parametrize(
    ("read", "url", "says"),
    [
        (addresses.kafka, "kafka://one", "'' is not the name of a topic"),
        (addresses.kafka, "kafka://one/a/b", "'a/b' is not the name of a topic"),
        (addresses.kafka, "kafka://one/..", "'..' is not the name of a topic"),
        (addresses.kafka, "kafka://one/a,a", "names a topic twice"),
        (addresses.kafka, "kafka://one/a?offset=3", "there is no option 'offset'"),
        (addresses.kafka, "kafka://one,/a", "'' is not HOST or HOST:PORT"),
        (addresses.kafka, "kafka://one:70000/a", "'one:70000' is not HOST or HOST:PORT"),
        (addresses.kafka, "kafka://[::1/a", "is not understood"),
        (addresses.kafka, "kafka://one/a#b", "is not understood"),
        (addresses.kafka, "redis://one/a", "is not understood; give one such as kafka://"),
        (addresses.cassandra, "cassandra://one:1,two:2/logs", "several ports"),
        (addresses.cassandra, "cassandra://one/Logs", "'Logs' is not a keyspace"),
        (addresses.cassandra, "cassandra://one", "'' is not a keyspace"),
        (addresses.redis, "redis://one/x", "'x' is not the number of a database"),
        (addresses.redis, "redis://one/٣", "'٣' is not the number of a database"),
        (addresses.redis, "redis://one:0", "'one:0' is not HOST or HOST:PORT"),
        (addresses.redis, "redis://::1", "'::1' is not HOST or HOST:PORT"),
        (addresses.redis, "redis:one", "is not understood"),
        (addresses.redis, "REDISS://one", "is not understood"),
    ],
)
def test_what_cannot_be_meant_is_said(read: Callable[[str], object], url: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        read(url)
    assert says in str(error.value)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("scheme", ["kafka", "cassandra", "redis", "rediss", "http"])
def test_passwords_in_urls_are_refused_and_not_shown(read: Callable[[str], object], scheme: str) -> None:
    with pytest.raises(UsageError) as error:
        read(f"{scheme}://user:s3cret@one/a")
    assert "s3cret" not in str(error.value)
    assert "_PASSWORD_FILE" in str(error.value)


@given(st.sampled_from(READERS), st.sampled_from(["kafka://", "cassandra://", "redis://", ""]), st.text())
def test_any_text_is_an_address_or_is_refused(read: Callable[[str], object], start: str, rest: str) -> None:
    with contextlib.suppress(UsageError):
        read(start + rest)


@pytest.mark.parametrize(
    ("dead", "source", "store", "where"),
    [
        (None, "kafka://one/a,b?group=g", "cassandra://one/logs", "kafka://one:9092/a.dead"),
        (None, "kafka://one/a", "sqlite:x.db", "kafka://one:9092/a.dead"),
        (None, "file:a.log", "sqlite:x.db", "sqlite:x.db"),
        (None, None, "sqlite:x.db", "sqlite:x.db"),
        ("kafka://two/d", "kafka://one/a", "cassandra://one/logs", "kafka://two/d"),
        ("sqlite:x.db", "kafka://one/a", "sqlite:x.db", "sqlite:x.db"),
    ],
)
def test_dead_letters_have_their_place(dead: str | None, source: str | None, store: str, where: str) -> None:
    assert addresses.dead_letters(dead, source, store) == where


@pytest.mark.parametrize(
    ("dead", "store", "says"),
    [
        (None, "cassandra://one/logs", "say where they are with --dead"),
        ("kafka://one/a,b", "sqlite:x.db", "several topics"),
        ("sqlite:y.db", "sqlite:x.db", "cannot be in 'sqlite:y.db'"),
    ],
)
def test_a_place_where_dead_letters_cannot_be_is_said(dead: str | None, store: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        addresses.dead_letters(dead, "file:a.log", store)
