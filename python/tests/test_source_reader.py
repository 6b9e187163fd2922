"""The source's program with a source whose partitions come and go, as those of a group do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from steps import assigned

from comporta import payloads, source
from comporta.connection import Closed, Connection, Frame
from comporta.payloads import AssignedPartition
from comporta.source import Reader
from comporta.sources import Batch, Limits, Source


class Group(Source):
    """A member of a group, as the test has it."""

    unit = "records"

    def __init__(self) -> None:
        self.found: list[AssignedPartition] = []
        self.lost: list[str] = []
        self.is_eager = False
        self.batch: Batch | None = None
        self.wants = False
        self.sought: list[tuple[str, int]] = []
        self.durable: list[tuple[str, int]] = []

    def discover(self) -> list[AssignedPartition]:
        found, self.found = self.found, []
        return found

    def has_news(self) -> bool:
        return self.is_eager and bool(self.found or self.lost)

    def revoked(self) -> list[str]:
        lost, self.lost = self.lost, []
        return lost

    def wants_drain(self) -> bool:
        return self.wants

    def drained(self) -> None:
        self.wants = False

    def is_listed(self) -> bool:
        return True

    def seek(self, partition: str, offset: int) -> None:
        self.sought.append((partition, offset))

    def read(self) -> Batch | None:
        return self.batch

    def ends(self) -> list[tuple[str, int]]:
        return []

    def checkpoint(self, partition: str, upto: int) -> None:
        self.durable.append((partition, upto))


class Beam:
    """The other end of the frames."""

    def __init__(self, of: Source) -> None:
        ours, theirs = socket.socketpair()
        self.connection = Connection(ours.detach())
        reader = Reader(Connection(theirs.detach()), [of], Limits(1, 1))
        self.ended: BaseException | None = None

        def serve() -> None:
            try:
                reader.serve()
            except (Closed, SystemExit) as error:
                self.ended = error

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()

    def send(self, kind: str, **header: object) -> None:
        self.connection.send({"kind": kind, "id": 0, **header})

    def until(self, kind: str) -> Frame:
        while True:
            assert self.connection.wait(10)
            frame = self.connection.receive()
            if frame.kind == kind:
                return frame

    def names(self) -> list[str]:
        return [each["partition"] for each in payloads.unpack(self.until("assigned").payload)]


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def beam(group: Group) -> Iterator[Beam]:
    group.found = [assigned("t/0"), assigned("t/1")]
    beam = Beam(group)
    yield beam
    beam.connection.disconnect()
    beam.thread.join(10)
    assert not beam.thread.is_alive()


def test_what_is_assigned_is_announced_again_when_it_is_asked_for(beam: Beam) -> None:
    assert beam.names() == ["t/0", "t/1"]
    beam.until("listed")
    beam.send("announce", partition=b"t/1")
    assert beam.names() == ["t/1"]
    beam.send("announce", partition=None)
    assert beam.names() == ["t/0", "t/1"]
    beam.until("listed")


def test_news_is_told_before_its_time(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "DISCOVER_EVERY", 3600.0)
    group.is_eager = True
    beam = Beam(group)
    beam.until("listed")
    group.found = [assigned("t/0")]
    assert beam.names() == ["t/0"]
    group.lost = ["t/0"]
    assert beam.until("revoked").header["partition"] == b"t/0"
    beam.connection.disconnect()
    beam.thread.join(10)
    assert not beam.thread.is_alive()


def test_what_is_said_of_a_partition_that_is_lost_goes_nowhere(beam: Beam, group: Group) -> None:
    beam.names()
    group.lost = ["t/0"]
    assert beam.until("revoked").header["partition"] == b"t/0"
    for name in (b"t/0", b"t/1"):
        beam.send("seek", partition=name, assignment=1, offset=5)
        beam.send("checkpoint", partition=name, upto=7)
    beam.send("announce", partition=None)
    assert beam.names() == ["t/1"]
    assert (group.sought, group.durable) == ([("t/1", 5)], [("t/1", 7)])


def test_a_drain_is_asked_for_once_and_its_end_is_passed_on(beam: Beam, group: Group) -> None:
    beam.names()
    for _ in range(2):
        group.wants = True
        beam.until("draining")
        beam.send("drained")
        beam.send("announce", partition=None)
        beam.names()
        assert not group.wants


def test_a_beam_that_takes_nothing_for_too_long_is_left(
    beam: Beam, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert beam.names() == ["t/0", "t/1"]
    beam.send("seek", partition=b"t/0", offset=0, assignment=1)
    group.patience = 1.5
    group.batch = Batch("t/0", "t/0", "lines", 0, 0, 1, 1, memoryview(bytes(8 << 20)))
    beam.send("pull", count=1, records=1)
    beam.thread.join(10)
    assert isinstance(beam.ended, SystemExit)
    assert "silent" in str(beam.ended.code)


def test_a_beam_that_is_silent_for_too_long_is_left(beam: Beam, group: Group) -> None:
    beam.names()
    group.patience = 0.2
    beam.thread.join(10)
    assert isinstance(beam.ended, SystemExit)
    assert "silent" in str(beam.ended.code)


def test_a_process_that_stood_still_itself_hears_the_beam_first(group: Group) -> None:
    group.patience = 0.0
    ours, theirs = (Connection(each.detach()) for each in socket.socketpair())
    reader = Reader(theirs, [group], Limits(1, 1))
    ours.send({"kind": "pulse"})
    reader._check_patience()
    theirs.receive()
    with pytest.raises(SystemExit):
        reader._check_patience()


def test_a_pulse_is_a_sign_of_life(beam: Beam, group: Group) -> None:
    beam.names()
    group.patience = 1.5
    for _ in range(4):
        beam.send("pulse")
        beam.until("lag")  # one a second
    assert beam.ended is None
