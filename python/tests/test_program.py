"""Programs as the BEAM meets them: real processes, with the test at the other end of the socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comporta.connection import Closed, Connection, Frame
from comporta.etf import Atom

PREAMBLE = """
import logging, os, signal, subprocess, sys, time
from comporta import program
from comporta.connection import Closed
from comporta.errors import ComportaError

"""

Start = Callable[..., "Program"]


class Program:
    """A program started as the BEAM does it, up to its hello."""

    def __init__(self, directory: Path, body: str, before: str = "", launcher: tuple[str, ...] = ()) -> None:
        path = directory / "socket"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(20)
        run = "def run(connection, start, payload):\n" + textwrap.indent(textwrap.dedent(body), "    ")
        code = f"{PREAMBLE}{textwrap.dedent(before)}\n{run}\nprogram.main(run)\n"
        self.process = subprocess.Popen(
            [*launcher, sys.executable, "-c", code],
            env={**os.environ, "COMPORTA_SOCKET": str(path), "COMPORTA_TOKEN": "ABC"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.socket, _ = listener.accept()
        listener.close()
        path.unlink()
        self.connection = Connection(os.dup(self.socket.fileno()))
        self.hello = self.connection.receive()

    def begin(self, version: int = 1, payload: bytes = b"") -> None:
        self.connection.send({"kind": "start", "version": version, "file": "a.py"}, payload)

    def receive(self) -> Frame:
        return self.connection.receive()

    def close(self) -> None:
        """The BEAM's end of the socket goes."""
        self.connection.disconnect()
        self.socket.close()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def end(self) -> tuple[int, str]:
        """The exit status, and what was printed to stderr."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def start(body: str, **options: object) -> Program:
        programs.append(Program(tmp_path, body, **options))  # type: ignore[arg-type]
        return programs[-1]

    yield start
    for started in programs:
        started.close()
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.communicate()


def gone(pid: int) -> bool:
    """Whether the process has ended within two seconds; a zombie has."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_a_program_says_hello_is_started_and_ends_with_its_connection(start: Start) -> None:
    program = start("connection.ready(payload, file=start['file']); connection.receive()")
    assert program.hello.header == {
        "kind": "hello",
        "id": 0,
        "version": 1,
        "token": b"ABC",
        "pid": program.process.pid,
    }
    program.begin(payload=b"payload")
    ready = program.receive()
    assert (ready.header, bytes(ready.payload)) == ({"kind": "ready", "id": 0, "file": b"a.py"}, b"payload")
    program.close()
    assert program.end() == (0, "")


def test_what_user_code_finds(start: Start) -> None:
    program = start(
        """
        connection.ready()
        print(sorted(name for name in os.environ if name in ("COMPORTA_SOCKET", "COMPORTA_TOKEN")))
        print(repr(sys.stdin.read()))
        print("\\udcff")
        connection.receive()
        """
    )
    program.begin()
    # Printed to a pipe, and there although nothing was flushed.
    assert [program.line() for _ in range(3)] == ["[]", "''", "\\udcff"]


def test_an_error_before_it_is_ready_is_a_refusal_without_a_traceback(start: Start) -> None:
    program = start("raise ComportaError('a.py: there is no pipeline in it')")
    program.begin()
    assert program.receive().header == {
        "kind": "refused",
        "id": 0,
        "reason": b"a.py: there is no pipeline in it",
    }
    assert program.end() == (1, "")


def test_an_error_later_is_logged_without_a_traceback(start: Start) -> None:
    program = start("connection.ready(); raise ComportaError('the disk is full')")
    program.begin()
    assert program.receive().kind == "ready"
    assert program.receive().header == {"kind": "log", "id": 0, "level": "error", "text": b"the disk is full"}
    assert program.end() == (1, "")


def test_a_bug_shows_its_traceback(start: Start) -> None:
    program = start("connection.ready(); {}['nothing']")
    program.begin()
    status, errors = program.end()
    assert status == 1
    assert errors.endswith("KeyError: 'nothing'\n")


def test_another_version_is_refused_in_words(start: Start) -> None:
    program = start("connection.ready()")
    program.begin(version=2)
    reason = program.receive().header["reason"].decode()
    assert "version 2" in reason
    assert "version 1" in reason
    assert "install the same version of both" in reason


def test_a_program_is_not_started_by_hand() -> None:
    code = "from comporta import program\nprogram.main(print)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert (
        done.stderr
        == "comporta: this program is started by Comporta, not by hand (see `comporta run --help`)\n"
    )


def test_a_program_whose_beam_is_gone_already_ends(tmp_path: Path) -> None:
    code = "from comporta import program\nprogram.main(print)"
    environment = {**os.environ, "COMPORTA_SOCKET": str(tmp_path / "gone"), "COMPORTA_TOKEN": "ABC"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, b"")


def test_logging_reaches_the_beam_with_its_level(start: Start) -> None:
    program = start(
        """
        logging.getLogger("comporta.store").info("opened %s", "it")
        logging.getLogger("user").info("not asked for")
        logging.getLogger("user").warning("careful")
        try:
            1 / 0
        except ZeroDivisionError:
            logging.exception("failed")
        logging.warning("%d apples", "many")
        logging.warning("x" * 100_000)
        """
    )
    program.begin()
    logged = [program.receive().header for _ in range(4)]
    assert 7000 < len(logged.pop()["text"]) < 9000  # and what cannot be formatted is no error of who logs it
    assert [(header["level"], header["text"].split(b"\n")[0]) for header in logged] == [
        ("info", b"opened it"),
        ("warning", b"careful"),
        ("error", b"failed"),
    ]
    assert logged[2]["text"].endswith(b"ZeroDivisionError: division by zero")
    assert isinstance(logged[0]["level"], Atom)


def test_signals_are_the_beams_affair_but_work_on_what_user_code_starts(start: Start) -> None:
    program = start(
        """
        connection.ready()
        connection.receive()
        sleeper = subprocess.Popen(["sleep", "600"])
        sleeper.terminate()
        print(sleeper.wait())
        child = os.fork()
        if child == 0:
            time.sleep(600)
        os.kill(child, signal.SIGTERM)
        print(os.WTERMSIG(os.waitpid(child, 0)[1]))
        """
    )
    program.begin()
    assert program.receive().kind == "ready"
    os.killpg(program.process.pid, signal.SIGINT)
    os.killpg(program.process.pid, signal.SIGTERM)
    program.connection.send({"kind": "pull"})
    assert [program.line(), program.line()] == ["-15", "15"]
    assert program.end() == (0, "")


def test_a_forked_child_has_no_part_in_the_connection(start: Start) -> None:
    program = start(
        """
        connection.ready()
        if os.fork() == 0:
            try:
                connection.send({"kind": "result"}, b"from the child")
            except Closed:
                print("closed")
            logging.warning("from the child")
            connection.receive()
        connection.send({"kind": "result"}, b"from the parent")
        os.wait()
        """
    )
    program.begin()
    assert program.receive().kind == "ready"
    assert bytes(program.receive().payload) == b"from the parent"
    assert program.line() == "closed"
    assert program.end() == (0, "from the child\n")


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_forked_child_neither_hides_its_parents_death_nor_survives_it(start: Start, how: str) -> None:
    program = start(
        """
        connection.ready()
        child = os.fork()
        if child == 0:
            while True:
                pass
        print(child)
        connection.receive()
        os._exit(3)
        """
    )
    program.begin()
    assert program.receive().kind == "ready"
    child = int(program.line())
    if how == "kill":
        program.process.kill()
    else:
        program.connection.send({"kind": "pull"})
    with pytest.raises(Closed):
        program.receive()
    assert gone(child)


def test_code_that_closes_descriptors_of_others_is_told_what_it_did(start: Start) -> None:
    program = start("connection.ready(); os.closerange(3, 1024); connection.ready()")
    program.begin()
    status, words = program.end()
    assert status == 1
    assert "os.closerange" in words
    assert "Traceback" not in words


@pytest.mark.parametrize(
    "body",
    [
        "while True: pass",
        "import ctypes; ctypes.PyDLL(None).sleep(600)",  # holds the interpreter's lock in C
        "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')",
    ],
)
def test_the_kernel_ends_a_program_with_its_parent_whatever_it_does(start: Start, body: str) -> None:
    launcher = ("/bin/sh", "-c", '"$@" & wait', "sh")  # a parent that can be killed
    program = start(f"connection.ready()\n{body}", launcher=launcher)
    program.begin()
    assert program.receive().kind == "ready"
    pid = program.hello.header["pid"]
    assert pid != program.process.pid
    program.process.kill()
    assert gone(pid)


def test_where_the_kernel_does_not_a_thread_watches_the_connection(start: Start) -> None:
    program = start("connection.ready()\nwhile True: time.sleep(600)", before="program._libc = None")
    program.begin()
    assert program.receive().kind == "ready"
    program.close()
    assert program.end()[0] == -signal.SIGKILL


def test_a_crash_in_c_says_where(start: Start) -> None:
    program = start("connection.ready()\nimport ctypes; ctypes.string_at(0)")
    program.begin()
    status, errors = program.end()
    assert status == -signal.SIGSEGV
    assert "Segmentation fault" in errors
    assert "in run" in errors
