"""On a terminal: a live line that log lines never tear, and Ctrl-C once and twice."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import COMMAND, Workplace, kill_tree, wait_until

TALKING = """
import time
import comporta as c
pipeline = c.Pipeline("talking", metrics=[c.count("lines"), c.sum("numbers", of="number")])
@pipeline.transform
def parse(line):
    number = int(line)
    if number % 100 == 0:
        time.sleep(PAUSE)
        print(f"<number {number}>")
    return {"number": number}
"""
LINES = 20_000
SMALL = {"COMPORTA_BATCH_BYTES": "2KiB"}


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, folder: Path, *words: object) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [COMMAND, *map(str, words)],
            cwd=folder,
            env=os.environ | SMALL,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.seen = ""

    def read(self) -> str:
        """All that has been shown so far."""
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.seen += os.read(self._master, 1 << 16).decode(errors="replace")
            except OSError:  # the terminal's last process has ended
                break
        return self.seen

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._master, b"\x03")

    def wait(self, seconds: float = 60) -> int:
        """The exit status, when it has ended; what it shows is read meanwhile."""
        wait_until(lambda: (self.read(), self.process.poll() is not None)[1], "the command's end", seconds)
        self.read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            kill_tree(self.process.pid)
            self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(workplace: Workplace, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    file = workplace.write("talking.py", TALKING.replace("PAUSE", request.param))
    workplace.write("a.log", "".join(f"{number}\n" for number in range(LINES)))
    found = Terminal(workplace.folder, "run", file, "--source", "file:a.log", "--until-end", "--workers", "2")
    yield found
    found.close()


def finish(workplace: Workplace) -> None:
    file = workplace.write("talking.py", TALKING.replace("PAUSE", "0"))
    workplace.run("run", file, "--source", "file:a.log", "--until-end")
    assert workplace.query(file, "numbers")[0]["value"] == sum(range(LINES))
    assert workplace.ledger(file)["consumed"] == LINES


@pytest.mark.parametrize("terminal", ["0.01"], indirect=True)
def test_the_live_line_is_never_torn(terminal: Terminal) -> None:
    assert terminal.wait() == 0
    assert "\r\x1b[2K" in terminal.seen
    # What a line looks like in the end: everything up to the last time that it was wiped is gone.
    shown = [re.split(r"\r\x1b\[2K", line)[-1].strip("\r") for line in terminal.seen.split("\n")]
    spoken = [line for line in shown if "<number" in line]
    assert len(spoken) == LINES // 100
    assert all(re.search(r"worker [12]: <number \d+>$", line) for line in spoken)
    assert "lines/s" in terminal.seen or "/s" in terminal.seen


@pytest.mark.parametrize("terminal", ["0.02"], indirect=True)
def test_one_interrupt_drains(terminal: Terminal, workplace: Workplace) -> None:
    wait_until(lambda: "<number" in terminal.read(), "the first numbers")
    terminal.interrupt()
    assert terminal.wait() == 0
    assert "draining" in terminal.seen
    finish(workplace)


@pytest.mark.parametrize("terminal", ["2"], indirect=True)
def test_two_interrupts_stop_at_once(terminal: Terminal, workplace: Workplace) -> None:
    wait_until(lambda: "<number" in terminal.read(), "the first numbers")
    terminal.interrupt()
    wait_until(lambda: "draining" in terminal.read(), "the first interrupt is seen")
    time.sleep(0.3)
    assert terminal.process.poll() is None
    terminal.interrupt()
    assert terminal.wait(10) in (1, 128 + signal.SIGINT)
    assert "nothing is lost" in terminal.seen
    finish(workplace)
