"""Python processes of every kind: `behaviours.py NAME` runs the function of that name below."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

from comporta import program
from comporta.connection import Connection
from comporta.errors import ComportaError
from comporta.etf import Atom


def echoes(connection: Connection, start: dict[str, Any], payload: memoryview) -> None:
    """Sends back what it gets, under the kind `result`."""
    connection.ready(payload, **{key: value for key, value in start.items() if key not in ("kind", "id")})
    while True:
        header, payload = connection.receive()
        connection.send({**header, "kind": "result"}, payload)


def measures(connection: Connection) -> None:
    """Says how long every payload was, and sends nothing back of it."""
    while True:
        header, payload = connection.receive()
        connection.send({"kind": "result", "id": header["id"], "count": len(payload)})


def asks(connection: Connection) -> None:
    """Makes a call in the middle of every request, and says what the answer was."""
    while True:
        header, _ = connection.receive()
        answer = connection.request({"kind": "call", "id": header["id"], "to": Atom("claims")}, b"?")
        connection.send({"kind": "result", "id": header["id"]}, answer.payload)


def writes_first(connection: Connection) -> None:
    """Writes three times 32 MiB before it reads anything."""
    for number in range(1, 4):
        connection.send({"kind": "batch", "id": number}, bytes(32 << 20))
    measures(connection)


def waits_and_is_ready(connection: Connection, _start: dict[str, Any], _payload: memoryview) -> None:
    for turn in range(10):
        connection.waiting(f"turn {turn}")
        time.sleep(0.2)
    connection.ready()
    connection.receive()


def logs_and_is_ready(connection: Connection, _start: dict[str, Any], _payload: memoryview) -> None:
    for turn in range(10):
        logging.getLogger("comporta.test").warning("turn %d", turn)
        time.sleep(0.2)
    connection.ready()
    connection.receive()


def is_never_ready(connection: Connection, _start: dict[str, Any], _payload: memoryview) -> None:
    connection.receive()


def refuses(_connection: Connection, start: dict[str, Any], _payload: memoryview) -> None:
    raise ComportaError(f"cannot open {start['file'].decode()}: there is no such file")


def fails_later(connection: Connection) -> None:
    raise ComportaError("the store is gone")


def raises(_connection: Connection) -> None:
    raise KeyError("a bug")


def exits(_connection: Connection) -> None:
    sys.exit(3)


def is_ready_and_exits(_connection: Connection) -> None:
    """Ends while its frame is still unread."""


def aborts(_connection: Connection) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def closes_its_socket(connection: Connection) -> None:
    connection.disconnect()
    time.sleep(600)


def prints(connection: Connection) -> None:
    print("printed, in two\nlines")
    print("wrong", file=sys.stderr)
    os.write(1, b"not text: \xff\xfe\n")
    os.write(1, b"no end")
    connection.log("warning", "said in a frame")
    logging.getLogger("comporta.test").info("logged")
    logging.getLogger("user").error("logged by user code")
    connection.receive()


def prints_without_end(_connection: Connection) -> None:
    while True:
        print("all the same")


def grows(_connection: Connection) -> None:
    blocks = []
    while True:
        blocks.append(bytearray(os.urandom(1 << 20)))
        time.sleep(0.001)


def never_reads(_connection: Connection) -> None:
    time.sleep(600)


def never_writes(connection: Connection) -> None:
    while True:
        connection.receive()


def spins(_connection: Connection) -> None:
    while True:
        pass


def holds_the_interpreter(_connection: Connection) -> None:
    """Stays in C with the interpreter's lock, for longer than anybody waits."""
    ctypes.PyDLL(None).sleep(600)


def matches_for_ever(_connection: Connection) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


def leaves_a_grandchild(_connection: Connection) -> None:
    """Exits with status 3; a forked child of its own holds standard output open and spins."""
    child = os.fork()
    if child == 0:
        while True:
            pass
    print(f"grandchild {child}")
    os._exit(3)


def has_a_grandchild(connection: Connection) -> None:
    """Goes on itself, beside a forked child that spins."""
    child = os.fork()
    if child == 0:
        while True:
            pass
    print(f"grandchild {child}")
    while True:
        connection.receive()


def executes_a_program(_connection: Connection) -> None:
    subprocess.run(["sleep", "600"], check=False)


def main() -> None:
    behaviour = globals()[sys.argv[1]]

    def run(connection: Connection, start: dict[str, Any], payload: memoryview) -> None:
        connection.ready()
        behaviour(connection)

    program.main(behaviour if behaviour.__code__.co_argcount == 3 else run)


if __name__ == "__main__":
    main()
