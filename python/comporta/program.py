"""What every program that the BEAM starts does first, and how it ends.

It dies with the BEAM whatever it is doing, leaves it to the BEAM to end it otherwise, keeps the frames from
everything else that runs in the process, and says in words why it cannot start.
"""

from __future__ import annotations

import ctypes
import faulthandler
import io
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from comporta.connection import MAX_FRAME, Closed, Connection, Level, Severed
from comporta.errors import ComportaError

VERSION = 1
"""The version of the protocol: unequal ones are refused."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Run = Callable[[Connection, dict[str, Any], memoryview], None]


def main(run: Run) -> NoReturn:
    """Connect to the BEAM, call `run` with the connection and the header and payload of `start`, and exit.

    The end of the connection is the ordinary end of a program. A `ComportaError` before `ready` is sent to
    the BEAM as the reason why the program refuses to start, later it is logged; neither shows a traceback.
    """
    _die_with(os.getppid())
    faulthandler.enable()
    _ignore_signals()
    _redirect_streams()
    connection = _connect()
    _protect_from_forks(connection)
    logging.getLogger().addHandler(_Log(connection))
    logging.getLogger("comporta").setLevel(logging.INFO)
    try:
        run(connection, *_start(connection))
    except Closed:
        sys.exit(0)
    except Severed as error:
        sys.exit(str(error))
    except ComportaError as error:
        if connection.is_ready:
            connection.log("error", str(error))
        else:
            connection.refused(str(error))
        sys.exit(1)
    sys.exit(0)


def _start(connection: Connection) -> tuple[dict[str, Any], memoryview]:
    connection.send(
        {"kind": "hello", "version": VERSION, "token": os.environ.pop("COMPORTA_TOKEN"), "pid": os.getpid()}
    )
    header, payload = connection.receive()
    if header.get("version") != VERSION:
        raise ComportaError(
            f"Comporta speaks version {header.get('version')} of its protocol, and the Python package "
            f"comporta version {VERSION}: install the same version of both"
        )
    return header, payload


def _connect() -> Connection:
    try:
        path = os.environ.pop("COMPORTA_SOCKET")
    except KeyError:
        sys.exit("comporta: this program is started by Comporta, not by hand (see `comporta run --help`)")
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # Python's sockets are close-on-exec
    try:
        stream.connect(path)
    except OSError:
        sys.exit(0)  # the BEAM has ended meanwhile
    descriptor = stream.detach()
    if _libc is None:
        threading.Thread(target=_watch, args=(descriptor,), daemon=True).start()
    return Connection(descriptor, int(os.environ.get("COMPORTA_MAX_FRAME", MAX_FRAME)))


def _find_libc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "prctl") else None


_libc = _find_libc()


def _die_with(parent: int) -> None:
    """Have the kernel kill it when its parent ends, even while it holds the interpreter's lock in C."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended just before
        os._exit(1)


def _watch(descriptor: int) -> None:
    """End the process when the BEAM ends, where the kernel does not; it takes the interpreter's lock to."""
    poll = select.poll()
    poll.register(descriptor, 0)  # errors and the peer's end are always reported
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def _ignore_signals() -> None:
    # Not SIG_IGN, which programs that user code executes would inherit: terminating them would do nothing.
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: None)


def _redirect_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # A line that user code prints is logged now, and not lost when the process is killed.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _protect_from_forks(connection: Connection) -> None:
    """Have forked children die with this process and let go of the frames, which would hide its death."""
    parent = os.getpid()

    # In the child signals mean again what user code expects: multiprocessing ends its children with them. One
    # that comes before that is so must not be ignored, but wait.
    def before() -> None:
        nonlocal parent
        parent = os.getpid()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def in_parent() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def in_child() -> None:
        connection.disconnect()
        _die_with(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


class _Log(logging.Handler):
    """Hands what `logging` gets to the BEAM's log, with its level; in a forked child to stderr, as prints."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # as the standard library does: what is logged wrongly is no error of who logs it
            self.handleError(record)
            return
        try:
            self._connection.log(_level(record.levelno), text)
        except Closed:
            print(text, file=sys.stderr)


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"
