"""A member is kept running, and an end that nobody had asked for is noted."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comporta.chaos import member as members
from comporta.chaos import processes
from comporta.chaos.member import Member

RUN = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
open("started", "a").write("x")
while True:
    time.sleep(0.01)
"""
MARK = "COMPORTA_TEST_MEMBER"


@pytest.fixture
def member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Member]:
    """One whose command notes that it has started, and runs until it is ended."""
    monkeypatch.setattr(members, "COMMAND", (sys.executable, "-c", RUN))
    monkeypatch.setattr(members, "RESTART", 0.0)
    member = Member("one", [], {MARK: str(tmp_path)}, tmp_path)
    yield member
    member.stop(at_once=True)


def starts(folder: Path) -> int:
    file = folder / "one" / "started"
    return len(file.read_text()) if file.exists() else 0


def wait(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def kill(member: Member, started: int, folder: Path) -> None:
    wait(lambda: starts(folder) == started)
    assert member.pid
    processes.send(member.pid)
    wait(lambda: starts(folder) == started + 1)


def test_an_end_is_noted_unless_it_was_to_be_expected(member: Member, tmp_path: Path) -> None:
    member.log.write_text("first words\nlast words\n")
    member.start()
    member.expect_end()
    kill(member, 1, tmp_path)
    assert member.exits == []
    kill(member, 2, tmp_path)
    assert member.exits == ["ended by itself with -9: last words"]


def test_a_change_of_its_environment_is_for_its_next_start(member: Member, tmp_path: Path) -> None:
    member.start()
    member.environment[MARK] = f"{tmp_path} changed"
    for number, mark in ((1, str(tmp_path)), (2, f"{tmp_path} changed")):
        wait(lambda number=number: starts(tmp_path) == number)  # type: ignore[misc]
        assert list(processes.marked(MARK, mark)) == [member.pid]
        member.stop()
        if number == 1:
            member.start()


def test_it_is_known_by_the_id_that_it_has_in_its_group(member: Member, tmp_path: Path) -> None:
    folder = tmp_path / "one" / ".comporta" / "instances"
    folder.mkdir(parents=True)
    (folder / "5891d401-0.lock").write_text("host-1234-0")
    assert member.instance == "host-1234-0"


def test_it_is_stopped_and_started_again(member: Member, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        member.start()
        wait(lambda number=number: starts(tmp_path) == number)  # type: ignore[misc]
        assert member.stop() == 0
        assert member.pid is None
    assert member.exits == []
    assert starts(tmp_path) == 3


def test_its_processes_are_found_by_their_environment(member: Member, tmp_path: Path) -> None:
    assert processes.marked(MARK, str(tmp_path)) == {}
    member.start()
    wait(lambda: starts(tmp_path) == 1)
    assert list(processes.marked(MARK, str(tmp_path))) == [member.pid]
