from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from comporta import waiting
from comporta.waiting import Notice, Pauses, unreachable

logger = logging.getLogger("comporta.test")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "time", clock)
    return clock


@pytest.fixture
def notice(caplog: pytest.LogCaptureFixture) -> Notice:
    caplog.set_level(logging.INFO)
    return Notice(logger, "Redis")


def test_pauses_grow_to_a_bound_and_differ() -> None:
    pauses = Pauses()
    found = [pauses.next() for _ in range(30)]
    assert found[0] <= waiting.FIRST_PAUSE * 1.5
    assert waiting.LONGEST_PAUSE / 2 <= min(found[10:]) <= max(found[10:]) <= waiting.LONGEST_PAUSE * 1.5
    assert len(set(found)) == 30


def test_a_wait_is_said_once_it_has_lasted_and_now_and_then(
    notice: Notice, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(300):
        notice.failed("no answer", clock.now)
        clock.now += 0.1
    assert caplog.messages == ["waiting for Redis: no answer; nothing is lost"] * 3
    notice.succeeded()
    assert caplog.messages[3:] == ["Redis answers again"]


def test_what_is_over_in_a_moment_is_not_said(
    notice: Notice, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        notice.failed("busy", clock.now)
        clock.now += 0.5
        notice.succeeded()
    assert caplog.messages == []


def test_a_try_that_took_long_is_said_at_once(
    notice: Notice, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    notice.failed("no answer", clock.now - waiting.SAID_AFTER)
    assert len(caplog.messages) == 1


def test_one_that_comes_and_goes_is_not_said_more_often(
    notice: Notice, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(4):
        notice.failed("no answer", clock.now - waiting.SAID_AFTER)
        notice.succeeded()
        clock.now += 1
    assert caplog.messages == ["waiting for Redis: no answer; nothing is lost", "Redis answers again"]


def refused(port: int) -> OSError:
    with socket.socket() as connection, pytest.raises(OSError, match="refused") as raised:
        connection.connect(("127.0.0.1", port))
    return raised.value


async def asked(host: str, port: int) -> None:
    await asyncio.open_connection(host, port)


def test_what_the_system_says_is_said_in_plain_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError) as of_asyncio:  # noqa: PT011 (which one it is depends on the host's names)
        asyncio.run(asked("localhost", port))
    for error in (refused(port), of_asyncio.value):
        assert "nothing listens there" in (unreachable(error) or "")
    with pytest.raises(socket.gaierror) as unknown:
        socket.create_connection(("nowhere.invalid", 1))
    assert "no address is known" in (unreachable(unknown.value) or "")
    assert unreachable(TimeoutError()) == unreachable(asyncio.TimeoutError()) == "no answer"
    assert unreachable(ConnectionResetError(104, "it is over")) == "Connection reset by peer"
    assert unreachable(ValueError("another matter")) is None


def test_what_an_error_came_of_is_looked_at_unless_it_is_to_be_hidden() -> None:
    error = RuntimeError("wrapped")
    error.__context__ = TimeoutError()
    assert unreachable(error) == "no answer"
    error.__suppress_context__ = True
    assert unreachable(error) is None
