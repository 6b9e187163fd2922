"""Kafka's brokers: how to connect to them, what they know of topics, topics made where they are missing.

A broker that is away is waited for, and the log says so. What waiting would not mend (a wrong password, a
port that is not Kafka's, a topic that is missing) raises one clear line, as the error that the caller names.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.api import Request

from comporta import tls, waiting
from comporta.addresses import KafkaAddress
from comporta.errors import ComportaError, SourceError
from comporta.kafka_requests import MakeTopicsRequest, TopicsRequest
from comporta.security import security

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Parameters = ParamSpec("Parameters")
Failure = type[ComportaError]

CLIENT = "comporta"
TIMEOUT_MS = 10_000  # for a connection, and for an answer
SILENCE = 3.0  # seconds without an answer after which a port is asked whether it is another service's
DEFAULT_REPLICATION = -1  # the broker's

# Codes of Kafka's protocol that are told apart here.
UNKNOWN_TOPIC, TOPIC_AUTHORIZATION_FAILED, INVALID_TOPIC, TOPIC_ALREADY_EXISTS = 3, 29, 17, 36
# The controller has moved, or is not chosen yet, or a broker is starting.
PASSING = {5, 6, 7, 8, 13, 14, 15, 41}
FORBIDDEN = (errors.TopicAuthorizationFailedError, errors.ClusterAuthorizationFailedError)
REFUSED = (
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)


@dataclass(frozen=True)
class Topic:
    """A topic as brokers know it: its id (hex), the numbers of its partitions, and their replication."""

    id: str
    partitions: tuple[int, ...]
    replication: int


class _Away(Exception):
    """What passes by itself, and is waited for; the text says what it is."""


def settings(address: KafkaAddress) -> dict[str, Any]:
    """Keyword arguments for any aiokafka client. Raises `UsageError` where the environment's are wrong."""
    secrets = security("kafka")
    protocol = ("SASL_" if secrets.username else "") + ("SSL" if secrets.tls else "PLAINTEXT")
    arguments = {
        "bootstrap_servers": list(address.servers),
        "client_id": CLIENT,
        "security_protocol": protocol,
        "ssl_context": secrets.tls,
    }
    if secrets.username:
        arguments |= {
            "sasl_mechanism": secrets.mechanism,
            "sasl_plain_username": secrets.username,
            "sasl_plain_password": secrets.password,
        }
    return arguments


async def find_topics(address: KafkaAddress, failure: Failure = SourceError) -> dict[str, Topic | None]:
    """What brokers know of the address's topics, None for one that is missing."""

    async def work(connection: AIOKafkaConnection) -> dict[str, Topic | None]:
        return _known(await connection.send(TopicsRequest(address.topics)), address, failure)

    return await attempt(address, failure, work)


async def find_topic_ids(address: KafkaAddress, failure: Failure = SourceError) -> dict[str, str]:
    """The ids, hex, of the address's topics. Raises `failure` where one is missing."""
    ids = {}
    for name, topic in (await find_topics(address, failure)).items():
        if topic is None:
            raise missing(address, name, failure)
        ids[name] = topic.id
    return ids


async def make_topics(
    address: KafkaAddress,
    *,
    partitions: int = 1,
    like: str | None = None,
    config: Mapping[str, str] | None = None,
    failure: Failure = SourceError,
) -> list[str]:
    """Make those of the address's topics that are missing, and return them.

    Each has so many `partitions`, the settings of `config`, and as many replicas as the topic `like`, or the
    brokers' default. One that is there already stays as it is.
    """
    names = [*address.topics, like] if like and like not in address.topics else list(address.topics)

    async def work(connection: AIOKafkaConnection) -> list[str]:
        metadata = await connection.send(TopicsRequest(names))
        known = _known(metadata, address, failure)
        wanted = [name for name in address.topics if known[name] is None]
        model = known[like] if like else None
        replication = model.replication if model else DEFAULT_REPLICATION
        if wanted:
            request = MakeTopicsRequest(wanted, partitions, replication, config or {})
            response = await _ask_controller(address, failure, metadata, request)
            for name, code, message in response.topic_errors:
                _check_made(address, name, code, message, failure)
            await _until_known(connection, wanted)
        return wanted

    return await attempt(address, failure, work)


def _blocking(function: Callable[Parameters, Coroutine[Any, Any, Answer]]) -> Callable[Parameters, Answer]:
    """A function for callers that have no event loop."""

    def call(*args: Parameters.args, **options: Parameters.kwargs) -> Answer:
        return asyncio.run(function(*args, **options))

    return call


topics = _blocking(find_topics)
topic_ids = _blocking(find_topic_ids)
ensure_topics = _blocking(make_topics)


async def attempt(
    address: KafkaAddress, failure: Failure, work: Callable[[AIOKafkaConnection], Awaitable[Answer]]
) -> Answer:
    """What `work` makes of a connection to one of the brokers, tried until a broker can be asked.

    Raises `failure` for what does not pass.
    """
    arguments = settings(address)
    servers = ",".join(address.servers)
    pauses, began = waiting.Pauses(), time.monotonic()
    notice = waiting.Notice(logger, f"Kafka at {servers}")
    while True:
        reasons = set()
        for server in random.sample(address.servers, len(address.servers)):
            try:
                connection = await _connect(server, arguments, failure)
                try:
                    answer = await work(connection)
                except FORBIDDEN as error:
                    raise failure(f"Kafka at {server} does not allow us that: {words(error)}") from error
                except (errors.KafkaError, OSError, asyncio.TimeoutError) as error:
                    raise _Away(await _closed(server, arguments, failure) or words(error)) from error
                finally:
                    await _close(connection)
            except _Away as reason:
                reasons.add(str(reason))
            else:
                notice.succeeded()
                return answer
        notice.failed("; ".join(sorted(reasons)), began)
        await asyncio.sleep(pauses.next())


async def ask(server: str, address: KafkaAddress, failure: Failure, request: Request[Any]) -> Any:
    """What one broker answers, and no other: a part of the work of an `attempt`."""
    connection = await _connect(server, settings(address), failure)
    try:
        return await connection.send(request)
    finally:
        await _close(connection)


def missing(address: KafkaAddress, topic: str, failure: Failure) -> ComportaError:
    """The error for a topic that is not there."""
    return failure(
        f"there is no topic {topic!r} at {','.join(address.servers)}: make it, or name another one"
    )


def words(error: BaseException) -> str:
    """What an error of a connection says, in one line."""
    if plain := waiting.unreachable(error):
        return plain
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__


async def _connect(server: str, arguments: Mapping[str, Any], failure: Failure) -> AIOKafkaConnection:
    await _probe(server, arguments["ssl_context"], failure)
    host, port = _endpoint(server)
    others = {name: value for name, value in arguments.items() if name != "bootstrap_servers"}
    try:
        return await create_conn(host, port, request_timeout_ms=TIMEOUT_MS, **others)
    except REFUSED as error:
        who = f"{arguments.get('sasl_plain_username')!r} by {arguments.get('sasl_mechanism')}"
        raise failure(
            f"Kafka at {server} does not let in {who} ({words(error)}): see COMPORTA_KAFKA_USERNAME,"
            " COMPORTA_KAFKA_PASSWORD_FILE and COMPORTA_KAFKA_SASL_MECHANISM"
        ) from error
    except (errors.KafkaError, OSError, asyncio.TimeoutError) as error:
        raise _Away(words(error)) from error


async def _probe(server: str, context: ssl.SSLContext | None, failure: Failure) -> None:
    """Find out whether it is Kafka that listens: aiokafka would take another service's answer for a length.

    The request is ApiVersions, version 0; an answer begins with a sane length and the request's number. What
    does not answer may wait for the end of a line, as no Kafka does.
    """
    number = b"COMP"
    client = CLIENT.encode()
    request = b"\x00\x12\x00\x00" + number + len(client).to_bytes(2, "big") + client
    not_kafka = failure(f"what listens at {server} is not Kafka")
    try:
        answer = await _say(server, context, len(request).to_bytes(4, "big") + request)
        if answer is None and await _say(server, context, b"PING\r\n" * 2):
            raise not_kafka
    except ssl.SSLError as error:
        if refusal := tls.refusal("kafka", error):
            raise failure(f"Kafka at {server}: {refusal}") from error
        raise _Away(f"no TLS connection ({error.reason or words(error)})") from error
    except (OSError, asyncio.TimeoutError) as error:
        raise _Away(words(error)) from error
    if answer is None:
        raise _Away("no answer")
    if not answer:
        speaks = "TLS" if context else "no TLS"
        raise _Away(f"it closed the connection; we speak {speaks}, see COMPORTA_KAFKA_TLS")
    if answer[:2] == b"\x15\x03":  # an alert, as TLS begins one
        raise failure(f"Kafka at {server} speaks TLS: set COMPORTA_KAFKA_TLS to on, or name another port")
    if len(answer) < 8 or answer[4:] != number:
        raise not_kafka


async def _say(server: str, context: ssl.SSLContext | None, request: bytes) -> bytes | None:
    """The first eight bytes, or fewer, that are answered on a connection of its own; None for silence."""
    host, port = _endpoint(server)
    opening = asyncio.open_connection(host, port, ssl=context)
    reader, writer = await asyncio.wait_for(opening, TIMEOUT_MS / 1000)
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.readexactly(8), SILENCE)
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.TimeoutError:
        return None
    finally:
        writer.close()


async def _closed(server: str, arguments: Mapping[str, Any], failure: Failure) -> str | None:
    """Why a broker might have closed a connection without a user: it asks for one, and raises `failure`."""
    if "sasl_mechanism" in arguments:
        return None
    with_tls = arguments["ssl_context"]
    host, port = _endpoint(server)
    protocol = "SSL" if with_tls else "PLAINTEXT"
    connection = None
    try:
        connection = await create_conn(
            host, port, request_timeout_ms=TIMEOUT_MS, security_protocol=protocol, ssl_context=with_tls
        )
        response = await connection.send(SaslHandShakeRequest("PLAIN"))
    except (errors.KafkaError, OSError, asyncio.TimeoutError):
        return None
    finally:
        if connection:
            await _close(connection)
    if response.error_code == errors.IllegalSaslStateError.errno:  # what a broker without users answers
        return None
    raise failure(
        f"Kafka at {server} asks for a user ({', '.join(sorted(response.enabled_mechanisms))}):"
        " set COMPORTA_KAFKA_USERNAME, COMPORTA_KAFKA_PASSWORD_FILE and COMPORTA_KAFKA_SASL_MECHANISM"
    )


def _known(metadata: Any, address: KafkaAddress, failure: Failure) -> dict[str, Topic | None]:
    known: dict[str, Topic | None] = {}
    for code, name, identity, _, partitions, *_ in metadata.topics:
        if code == UNKNOWN_TOPIC:
            known[name] = None
        elif code == TOPIC_AUTHORIZATION_FAILED:
            raise failure(f"Kafka at {','.join(address.servers)} does not let us read the topic {name!r}")
        elif code == INVALID_TOPIC:
            raise failure(f"{name!r} is not the name of a topic")
        elif code:
            raise _Away(words(errors.for_code(code)()))
        else:
            numbers = tuple(sorted(number for _, number, *_ in partitions))
            replication = min((len(replicas) for _, _, _, _, replicas, *_ in partitions), default=-1)
            known[name] = Topic(identity.hex(), numbers, replication)
    return known


async def _ask_controller(
    address: KafkaAddress, failure: Failure, metadata: Any, request: MakeTopicsRequest
) -> Any:
    brokers = {node: f"{host}:{port}" for node, host, port, *_ in metadata.brokers}
    if metadata.controller_id not in brokers:
        raise _Away("there is no controller yet")
    return await ask(brokers[metadata.controller_id], address, failure, request)


def _check_made(address: KafkaAddress, name: str, code: int, message: str | None, failure: Failure) -> None:
    if code in PASSING:
        raise _Away(message or words(errors.for_code(code)()))
    if code not in (0, TOPIC_ALREADY_EXISTS):
        reason = message or words(errors.for_code(code)())
        raise failure(f"cannot make the topic {name!r} at {','.join(address.servers)}: {reason}")


async def _until_known(connection: AIOKafkaConnection, wanted: list[str]) -> None:
    """Wait until the broker that was asked knows topics that its controller has just made, with leaders."""
    for _ in range(100):
        metadata = await connection.send(TopicsRequest(wanted))
        if not any(
            code or any(each[0] for each in each_of) for code, _, _, _, each_of, *_ in metadata.topics
        ):
            return
        await asyncio.sleep(0.05)
    raise _Away("it does not know the topics that were made")


async def _close(connection: AIOKafkaConnection) -> None:
    if closing := connection.close():
        await asyncio.wait([closing], timeout=1.0)


def _endpoint(server: str) -> tuple[str, int]:
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)
