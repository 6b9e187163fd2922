"""Frames over a real socket: order, answers among other frames, and peers that send nonsense."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comporta import etf
from comporta.connection import MAX_HEADER, Closed, Connection, ProtocolError
from comporta.etf import Atom


class Pair:
    """A connection and the socket at its other end."""

    def __init__(self, max_frame: int = 1 << 20) -> None:
        mine, self.peer = socket.socketpair()
        self.connection = Connection(mine.detach(), max_frame)
        self.other = Connection(self.peer.fileno())


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.connection.disconnect()
    pair.peer.close()


def raw(header: object, payload: bytes = b"") -> bytes:
    encoded = header if isinstance(header, bytes) else etf.encode(header)
    return struct.pack(">II", 4 + len(encoded) + len(payload), len(encoded)) + encoded + payload


def send_all(peer: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the connection may have had enough before it is through
        peer.sendall(data)


READY = {"kind": Atom("ready"), "id": 0}


def test_frames_arrive_in_order_as_they_were_sent(pair: Pair) -> None:
    for number in range(100):
        pair.connection.send({"kind": "result", "id": number, "partition": "p"}, bytes([number]) * number)
    for number in range(100):
        header, payload = pair.other.receive()
        assert header == {"kind": "result", "id": number, "partition": b"p"}
        assert isinstance(header["kind"], Atom)
        assert payload == bytes([number]) * number


def test_a_frame_on_the_wire() -> None:
    pair = Pair()
    pair.connection.send({"kind": "flush"}, memoryview(b"payload"))
    assert pair.peer.recv(1000) == raw({"id": 0, "kind": Atom("flush")}, b"payload")


def test_a_payload_is_a_view_that_cannot_be_changed(pair: Pair) -> None:
    pair.peer.sendall(raw(READY, b"payload"))
    payload = pair.connection.receive().payload
    assert payload.readonly
    assert bytes(payload) == b"payload"


def test_a_frame_may_arrive_byte_by_byte_and_leave_in_parts(pair: Pair) -> None:
    data = bytes(range(256)) * 4000  # more than a socket holds
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sender = threading.Thread(target=pair.connection.send, args=({"kind": "result"}, data))
    sender.start()
    assert pair.other.receive().payload == data
    sender.join()
    for byte in raw(READY, b"slow"):
        pair.peer.sendall(bytes([byte]))
    assert bytes(pair.connection.receive().payload) == b"slow"


def test_threads_may_send_at_once(pair: Pair) -> None:
    def send(number: int) -> None:
        for _ in range(50):
            pair.connection.send({"kind": "log"}, bytes([number]) * 5000)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    frames = [bytes(pair.other.receive().payload) for _ in range(200)]
    assert all(frame == frame[:1] * 5000 for frame in frames)
    assert sorted(frame[0] for frame in frames) == sorted([0, 1, 2, 3] * 50)


def test_an_answer_is_waited_for_and_what_comes_before_it_is_kept(pair: Pair) -> None:
    for frame in (
        raw({"kind": Atom("batch"), "id": 2}, b"second"),
        raw({"kind": Atom("batch"), "id": 3}, b"third"),
        raw({"kind": Atom("answer"), "id": 1}, b"yes"),
        raw({"kind": Atom("batch"), "id": 4}, b"fourth"),
    ):
        pair.peer.sendall(frame)
    answer = pair.connection.request({"kind": "call", "id": 1, "to": Atom("claims")})
    assert bytes(answer.payload) == b"yes"
    assert pair.other.receive().header == {"kind": "call", "id": 1, "to": "claims"}
    assert [pair.connection.receive().header["id"] for _ in range(3)] == [2, 3, 4]


def test_an_answer_to_something_else_is_nonsense(pair: Pair) -> None:
    pair.peer.sendall(raw({"kind": Atom("answer"), "id": 9}))
    with pytest.raises(ProtocolError, match="answer 9 to request 1"):
        pair.connection.request({"kind": "call", "id": 1})


def test_what_every_program_says(pair: Pair) -> None:
    pair.connection.waiting("for another run")
    assert not pair.connection.is_ready
    pair.connection.ready(b"payload", hash="abc", ordered=True)
    assert pair.connection.is_ready
    pair.connection.refused("no \udcff such file")
    pair.connection.log("warning", "careful")
    assert [pair.other.receive() for _ in range(4)] == [
        ({"id": 0, "kind": "waiting", "reason": b"for another run"}, b""),
        ({"id": 0, "kind": "ready", "hash": b"abc", "ordered": True}, b"payload"),
        ({"id": 0, "kind": "refused", "reason": b"no \\udcff such file"}, b""),
        ({"id": 0, "kind": "log", "level": "warning", "text": b"careful"}, b""),
    ]


def test_waiting_says_whether_there_is_a_frame(pair: Pair) -> None:
    assert not pair.connection.wait(0)
    pair.peer.sendall(raw(READY) + raw({"kind": Atom("answer"), "id": 1}))
    assert pair.connection.wait(10)
    pair.connection.request({"kind": "call", "id": 1})
    assert pair.connection.wait(0)  # the frame that came before the answer
    pair.connection.receive()
    assert not pair.connection.wait(0)
    pair.peer.close()
    assert pair.connection.wait(10)
    with pytest.raises(Closed):
        pair.connection.receive()


def test_the_end_is_told_from_nonsense() -> None:
    for last in (b"", b"\0\0", raw(READY, b"payload")[:-1]):
        pair = Pair()
        pair.peer.sendall(last)
        pair.peer.close()
        with pytest.raises(Closed):
            pair.connection.receive()
        with pytest.raises(Closed):
            pair.connection.send({"kind": "result"}, bytes(1 << 19))


def test_a_connection_that_was_let_go_of_is_closed(pair: Pair) -> None:
    pair.connection.disconnect()
    pair.connection.disconnect()
    for use in (
        pair.connection.receive,
        lambda: pair.connection.send({"kind": "result"}),
        lambda: pair.connection.wait(0),
    ):
        with pytest.raises(Closed):
            use()


@pytest.mark.parametrize("size", [(1 << 20) + 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_over_the_limit_allocates_nothing(pair: Pair, size: int) -> None:
    tracemalloc.start()
    try:
        pair.peer.sendall(struct.pack(">II", size, 8) + bytes(100))
        with pytest.raises(ProtocolError, match=f"a frame of {size} bytes is over the limit of 1048576"):
            pair.connection.receive()
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 100, 97) + bytes(96),  # a header longer than the frame
        struct.pack(">II", 0, 0),
        struct.pack(">II", 1 << 20, MAX_HEADER + 1) + bytes(1 << 20),
        raw(b"\x83\x61\x01"),
        raw(b"not a term"),
        raw({}),
        raw({"kind": b"ready", "id": 0}),
        raw({"kind": Atom("ready"), "id": None}),
        raw({"kind": Atom("ready"), "id": True}),
        raw([1]),
    ],
)
def test_nonsense_is_an_error_in_words(pair: Pair, data: bytes) -> None:
    threading.Thread(target=send_all, args=(pair.peer, data), daemon=True).start()
    with pytest.raises(ProtocolError, match="header"):
        pair.connection.receive()


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
def test_any_bytes_are_a_frame_the_end_or_nonsense(data: bytes) -> None:
    pair = Pair()
    pair.peer.sendall(data)
    pair.peer.close()
    try:
        while True:
            pair.connection.receive()
    except (Closed, ProtocolError):
        pass
    finally:
        pair.connection.disconnect()


def test_what_no_peer_would_take_is_not_sent(pair: Pair) -> None:
    with pytest.raises(
        ProtocolError, match=r"a result frame of \d+ bytes is over COMPORTA_MAX_FRAME, 1048576"
    ):
        pair.connection.send({"kind": "result"}, bytes(1 << 20))
    with pytest.raises(ProtocolError, match=r"the header of a result frame has \d+ bytes, over 65536"):
        pair.connection.send({"kind": "result", "reason": "x" * MAX_HEADER})
    pair.connection.send({"kind": "result"}, b"the next one")
    assert bytes(pair.other.receive().payload) == b"the next one"
