"""The source's program as the BEAM meets it."""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_beam import FakeBeam
from steps import assigned, generation, letter, step

from comporta import payloads
from comporta.connection import Frame
from comporta.letters import open_letters
from comporta.payloads import AssignedPartition, Known, KnownPartition
from comporta.sinks import open_sink

LINES = [b"line %d" % number for number in range(3000)]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with a pipeline in it whose generation is `GENERATION`."""
    url = f"sqlite:{tmp_path}/store.db"
    sink = open_sink(url, create=True)
    sink.install(generation(), instead_of=None)
    return url


def current(store: str) -> str:
    found = open_sink(store, create=False).current("access-log")
    assert found
    return found.id


class Source:
    """The program, and what the store would know of its partitions."""

    def __init__(self, store: str, source: str, until_end: bool = False, **start: Any) -> None:
        self.start = {
            "store": store,
            "source": source,
            "start": "earliest",
            "dead": None,
            "pipeline": "access-log",
            "until_end": until_end,
            "batch_bytes": 1000,
            "max_record": 1 << 20,
        } | start
        self.store = store
        self.known: dict[str, KnownPartition] = {}
        self.assignment = 0
        self.values: list[bytes] = []
        self.ends: dict[str, int] = {}
        self.is_listed = False
        self.connect()

    def connect(self) -> None:
        known = Known(
            generation=current(self.store),
            started=bool(self.known),
            start=None,
            partitions=[each for each in self.known.values() if each["partition"] != "replay"],
            origin=None,
            generations=None,
        )
        self.beam = FakeBeam("source", payloads.pack(known), **self.start)
        self.is_listed = False

    def ready(self) -> None:
        assert self.beam.receive().kind == "ready"

    def pull(self, count: int, records: int = 50_000) -> None:
        self.beam.send("pull", count=count, records=records)

    def until(self, *kinds: str) -> Frame:
        """The next frame of these kinds, what comes before being dealt with."""
        while True:
            frame = self.beam.receive()
            self._take(frame)
            if frame.kind in kinds:
                return frame

    def open(self, assigned: list[AssignedPartition]) -> None:
        """As the store does: under a new assignment, from the checkpoint."""
        self.assignment += 1
        for each in assigned:
            name = each["partition"]
            upto, mark = each["start"], b""
            if name in self.known:
                upto, mark = self.known[name]["upto"], self.known[name]["mark"]
            self.known[name] = KnownPartition(
                partition=name, shown=each["shown"], upto=upto, mark=mark, meta=each["meta"]
            )
            self.beam.send("seek", partition=name, assignment=self.assignment, offset=upto)

    def seek_again(self) -> None:
        """As when the store was started again: all partitions go back to their checkpoints."""
        self.assignment += 1
        for name, known in self.known.items():
            self.beam.send("seek", partition=name, assignment=self.assignment, offset=known["upto"])

    def _take(self, frame: Frame) -> None:
        header = frame.header
        if frame.kind == "assigned":
            self.open(payloads.unpack(frame.payload))
        elif frame.kind == "listed":
            self.is_listed = True
        elif frame.kind == "end":
            self.ends[header["partition"].decode()] = header["offset"]
        elif frame.kind == "batch" and header["assignment"] == self.assignment:
            known = self.known[header["partition"].decode()]
            assert header["first"] == known["upto"]
            assert header["base"] == header["first"]
            assert header["count"] == bytes(frame.payload).count(b"\n") or header["replay"]
            known["upto"], known["mark"] = header["next"], header["mark"]
            self.values += bytes(frame.payload).split(b"\n")[: header["count"]]
            self.beam.send("checkpoint", partition=header["partition"], upto=header["next"])

    @property
    def has_ended(self) -> bool:
        reached = [self.known[name]["upto"] >= self.ends[name] for name in self.known if name in self.ends]
        return self.is_listed and len(reached) == len(self.known) and all(reached)


@pytest.fixture
def opened() -> Iterator[list[Source]]:
    sources: list[Source] = []
    yield sources
    for source in sources:
        source.beam.disconnect()
        source.beam.kill()


def test_nothing_is_sent_beyond_the_credit(store: str, opened: list[Source]) -> None:
    Path("a.log").write_bytes(b"\n".join(LINES) + b"\n")
    source = Source(store, "file:a.log")
    opened.append(source)
    source.ready()
    source.until("listed")
    for count in (1, 3):
        source.pull(count)
        for _ in range(count):
            source.until("batch")
        # Two reports of the lag later nothing has come that was not asked for.
        assert [source.until("batch", "lag").kind for _ in range(2)] == ["lag", "lag"]


def test_batches_have_as_many_records_as_are_asked_for(store: str, opened: list[Source]) -> None:
    Path("a.log").write_bytes(b"\n".join(LINES) + b"\n")
    source = Source(store, "file:a.log")
    opened.append(source)
    source.ready()
    for records in (2, 3, 1):
        source.pull(1, records)
        assert source.until("batch").header["count"] == records


def test_an_end_for_each_partition_and_all_of_it(store: str, opened: list[Source]) -> None:
    Path("a.log").write_bytes(b"\n".join(LINES) + b"\n")
    Path("b.log").write_bytes(gzip.compress(b"b\n"))
    Path("c.log").touch()
    source = Source(store, "file:*.log", until_end=True)
    opened.append(source)
    source.ready()
    source.pull(1000)
    while not source.has_ended:
        source.until("batch", "end", "listed")
    assert sorted(source.values) == sorted([*LINES, b"b"])
    assert {known["shown"] for known in source.known.values()} == {"a.log", "b.log", "c.log", "replay"}


def test_what_is_followed_comes_soon_and_new_files_too(store: str, opened: list[Source]) -> None:
    log = Path("a.log")
    log.write_bytes(b"one\n")
    source = Source(store, "file:*.log")
    opened.append(source)
    source.ready()
    source.pull(100)
    source.until("batch")
    with log.open("ab") as file:
        file.write(b"two\n")
    source.until("batch")
    log.rename("a.log.1")
    Path("b.log").write_bytes(b"three\n")
    source.until("batch")
    assert source.values == [b"one", b"two", b"three"]
    ends = source.until("lag").header["ends"]
    assert [offset for _, offset in ends][:1] == [8]


def test_a_store_that_started_again_is_served_from_its_checkpoints_under_a_new_number(
    store: str, opened: list[Source]
) -> None:
    Path("a.log").write_bytes(b"\n".join(LINES) + b"\n")
    source = Source(store, "file:a.log", until_end=True)
    opened.append(source)
    source.ready()
    source.pull(5)
    for _ in range(3):
        source.until("batch")
    source.seek_again()
    source.pull(1000)
    while not source.has_ended:
        source.until("batch", "end")
    assert source.values == LINES


def test_killed_at_any_moment_and_started_again(store: str, opened: list[Source]) -> None:
    for number in range(3):
        Path(f"{number}.log").write_bytes(b"".join(line + b"\n" for line in LINES[number::3]))
    source = Source(store, "file:*.log", until_end=True)
    opened.append(source)
    for _ in range(6):
        source.ready()
        source.pull(wanted := random.randrange(1, 8))
        for _ in range(random.randrange(wanted)):  # no more than surely comes, if the end has not
            if not source.has_ended:
                source.until("batch", "end", "listed")
        source.beam.kill()
        source.beam.disconnect()
        source.connect()
    source.ready()
    source.pull(1000)
    while not source.has_ended:
        source.until("batch", "end", "listed")
    assert sorted(source.values) == sorted(LINES)
    assert len(source.known) == 4


def test_letters_that_are_replayed_come_beside_the_source(store: str, opened: list[Source]) -> None:
    Path("a.log").write_bytes(b"one\n")
    sink = open_sink(store, create=False)
    [checkpoint] = sink.open(current(store), [assigned("file-1")])
    sink.flush(current(store), [step(checkpoint, 10, letters=[letter(3)])])
    source = Source(store, "file:a.log")
    opened.append(source)
    source.ready()
    source.pull(100)
    source.until("batch")
    open_letters(store, current(store)).replay([("file-1", 3, 0)])
    assert source.until("batch").header["replay"] == [b"file-1", 3, 0]


def test_stdin_is_read_while_it_comes(
    store: str, opened: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setenv("COMPORTA_STDIN", f"/proc/{os.getpid()}/fd/{reader}")
    source = Source(store, "-", until_end=True)
    opened.append(source)
    source.ready()
    source.pull(1000)
    os.write(writer, b"one\ntwo\n")
    source.until("batch")
    os.write(writer, b"three\n")
    source.until("batch")
    os.close(writer)
    os.close(reader)
    while not source.has_ended:
        source.until("end", "batch", "listed")
    assert source.values == [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:nothing.log", "there is no such file"),
        ("file:*.log", "no file matches"),
        ("-", "there is no stdin"),
    ],
)
def test_a_source_that_is_not_there_fails_in_words(
    store: str, opened: list[Source], url: str, words: str
) -> None:
    source = Source(store, url, until_end=True)
    opened.append(source)
    frame = source.until("failed", "refused")
    assert words in frame.header["reason"].decode()


def test_a_damaged_file_fails_once_everything_else_is_durable(store: str, opened: list[Source]) -> None:
    packed = gzip.compress(b"".join(b"%d\n" % number for number in range(20_000)))
    Path("a.log").write_bytes(packed[: len(packed) // 2])
    Path("b.log").write_bytes(b"".join(line + b"\n" for line in LINES))
    source = Source(store, "file:*.log", until_end=True)
    opened.append(source)
    source.ready()
    source.pull(1000)
    frame = source.until("failed")
    assert "a.log: compressed data ends at decompressed position" in frame.header["reason"].decode()
    assert len(source.values) > len(LINES)


@pytest.mark.parametrize("url", ["file:a.log", "file:nothing.log"])
def test_it_closes_when_it_is_told_to_and_does_not_end_by_itself(
    store: str, opened: list[Source], url: str
) -> None:
    Path("a.log").write_bytes(b"one\n")
    source = Source(store, url)
    opened.append(source)
    source.until("listed", "failed")
    source.beam.send("close")
    source.until("closed")
    source.beam.send("pulse")
    source.beam.disconnect()
    assert source.beam.process.wait(10) == 0


def test_it_waits_without_work(store: str, opened: list[Source]) -> None:
    for number in range(100):
        Path(f"{number}.log").write_bytes(b"one\n")
    source = Source(store, "file:*.log")
    opened.append(source)
    source.ready()
    source.pull(1000)
    while len(source.values) < 100:
        source.until("batch")
    before, begun = cpu_seconds(source.beam.process.pid), time.monotonic()
    while time.monotonic() < begun + 2:
        source.until("lag")
    assert cpu_seconds(source.beam.process.pid) - before < 1


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
