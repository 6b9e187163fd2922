from __future__ import annotations

import gzip
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_contract import SourceContract, drain

from comporta.errors import SourceError, UsageError
from comporta.payloads import Known, KnownPartition
from comporta.sources import Source, SourceBatch, files, open_source
from comporta.sources.lines import LineCutter, fingerprint

NOTHING: Known = {"generation": "g", "started": False, "start": None, "partitions": []}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lines(batch: SourceBatch) -> list[bytes]:
    return batch.payload.split(b"\n")[: batch.count]


def opened(
    pattern: str, known: Known = NOTHING, until_end: bool = True, start: str = "earliest", size: int = 1000
) -> Source:
    return open_source(f"file:{pattern}", known, start, until_end, size, 100_000)


def values(batches: Sequence[SourceBatch]) -> list[bytes]:
    return [line for batch in batches for line in lines(batch)]


class Memory:
    """What a store would remember of partitions: here, everything that was read."""

    def __init__(self) -> None:
        self.partitions: dict[str, KnownPartition] = {}

    def read(self, source: Source, most: int = 10**9) -> list[SourceBatch]:
        for new in source.discover():
            name = new["partition"]
            if name not in self.partitions:
                self.partitions[name] = KnownPartition(
                    partition=name, shown=new["shown"], upto=new["start"], mark=b"", meta=new["meta"]
                )
            source.seek(name, 1, self.partitions[name]["upto"])
        batches = []
        while len(batches) < most and (batch := source.read()):
            batches.append(batch)
            self.partitions[batch.partition] |= {"upto": batch.next, "mark": batch.mark}
        return batches

    def known(self) -> Known:
        return {
            "generation": "g",
            "started": True,
            "start": None,
            "partitions": list(self.partitions.values()),
        }


class TestPlain(SourceContract):
    def make(self, records: Sequence[bytes], until_end: bool = True) -> Source:
        half = len(records) // 2
        Path("a.log").write_bytes(b"\n".join(records[:half]) + b"\n")
        Path("b.log").write_bytes(b"\n".join(records[half:]))
        return opened("*.log", until_end=until_end)

    def values(self, batch: SourceBatch) -> list[bytes]:
        return lines(batch)


class TestGzip(TestPlain):
    def make(self, records: Sequence[bytes], until_end: bool = True) -> Source:
        half = len(records) // 2
        members = [gzip.compress(b"\n".join(part) + b"\n") for part in (records[:half], records[half:])]
        Path("a.log").write_bytes(b"".join(members))
        return opened("a.log", until_end=until_end)


@given(
    st.lists(st.binary(max_size=40), max_size=60), st.integers(1, 50), st.integers(20, 90), st.integers(1, 64)
)
def test_chunks_together_are_the_stream(parts: list[bytes], size: int, longest: int, portion: int) -> None:
    stream = b"\n".join(parts)
    position = 0

    def read(most: int) -> bytes:
        nonlocal position
        data = stream[position : position + min(most, portion)]
        position += len(data)
        return data

    cutter = LineCutter(read, 0, b"", size, longest)
    reached = 0
    while chunk := cutter.cut(final=True):
        covered = stream[chunk.first : chunk.next]
        assert chunk.first == reached
        reached = chunk.next
        assert chunk.mark == fingerprint(stream[max(0, chunk.next - 1024) : chunk.next])
        if chunk.format == "lines":
            assert chunk.payload == covered
            assert len(covered) <= max(size, longest)
        else:
            assert chunk.count == 1
            assert len(covered) > longest
            assert covered.startswith(chunk.payload)
            assert b"\n" not in covered[:-1]
    assert reached == len(stream)


def test_an_unfinished_line_waits_for_its_end_while_following() -> None:
    log = Path("a.log")
    log.write_bytes(b"one\ntw")
    source = opened("a.log", until_end=False)
    assert values(drain(source)) == [b"one"]
    with log.open("ab") as file:
        file.write(b"o\nthree")
    assert values(drain(source)) == [b"two"]
    assert source.reached() == []


def test_an_empty_file_ends_at_once() -> None:
    Path("a.log").touch()
    source = opened("a.log")
    [partition] = source.discover()
    assert source.reached() == [(partition["partition"], 0)]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_resumed_at_random_through_rotation_by_rename(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rnd = random.Random(seed)
    os.chdir(tmp_path_factory.mktemp("rotation"))
    log, memory, read = Path("a.log"), Memory(), []
    written: list[bytes] = []
    source: Source | None = None
    seen = False
    for number in range(40):
        with log.open("ab") as file:
            for _ in range(rnd.randrange(60)):
                written.append(b"%d %s" % (len(written), b"x" * rnd.randrange(50)))
                file.write(written[-1] + b"\n")
        if rnd.random() < 0.3 and seen:
            log.rename(f"a.log.{number}")
            log.touch()
            seen = False
        if source is None or rnd.random() < 0.3:
            source = opened("a.log", memory.known() if memory.partitions else NOTHING, until_end=False)
        if rnd.random() < 0.7:
            read += memory.read(source, rnd.randrange(1, 6))
            seen = True
    read += memory.read(opened("a.log", memory.known(), until_end=True))
    assert sorted(values(read)) == sorted(written)


def test_a_log_compressed_by_rotation_while_stopped_goes_on_where_it_was() -> None:
    log, memory = Path("a.log"), Memory()
    content = b"".join(b"line %d\n" % number for number in range(500))
    log.write_bytes(content[: content.index(b"line 300\n")])
    read = memory.read(opened("a.log"))
    Path("a.log.1.gz").write_bytes(gzip.compress(content))
    log.unlink()
    log.write_bytes(b"another log\n")
    read += memory.read(opened("a.log", memory.known()))
    assert sorted(values(read)) == sorted([*content.splitlines(), b"another log"])


def test_two_files_that_begin_alike_are_two() -> None:
    for name in ("a.log", "b.log"):
        Path(name).write_bytes(b"the same\n" * 200)
    assert len(values(drain(opened("*.log")))) == 400


def test_a_file_truncated_in_place_is_another_log(caplog: pytest.LogCaptureFixture) -> None:
    log, memory = Path("a.log"), Memory()
    log.write_bytes(b"old\n" * 100)
    source = opened("a.log", until_end=False)
    memory.read(source)
    log.write_bytes(b"new\n")
    assert values(memory.read(source)) == [b"new"]
    assert len(memory.partitions) == 2


def test_an_inode_that_holds_other_content_is_another_log() -> None:
    log, memory = Path("a.log"), Memory()
    log.write_bytes(b"old line\n" * 100)
    memory.read(opened("a.log"))
    log.write_bytes(b"new line\n" * 100)
    assert values(memory.read(opened("a.log", memory.known()))) == [b"new line"] * 100


def test_a_copy_beside_a_living_log_waits_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    log, memory = Path("a.log"), Memory()
    log.write_bytes(b"line\n" * 100)
    source = opened("a.log*", until_end=False)
    assert len(values(memory.read(source))) == 100
    Path("a.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    assert memory.read(source) == []
    monkeypatch.setattr(files, "DOUBT", 0)
    assert len(values(memory.read(source))) == 100


def test_latest_starts_at_the_end_of_what_is_there_and_later_files_at_their_beginning() -> None:
    Path("a.log").write_bytes(b"old\nunfin")
    source = opened("*.log", until_end=False, start="latest")
    [partition] = source.discover()
    assert partition["start"] == 4
    Path("b.log").write_bytes(b"new\n")
    [partition] = source.discover()
    assert partition["start"] == 0


@pytest.mark.parametrize("damage", ["truncated", "corrupt"])
def test_a_damaged_gzip_is_read_as_far_as_it_goes(damage: str) -> None:
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    packed = bytearray(gzip.compress(content))
    if damage == "truncated":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2] ^= 0xFF
    Path("a.log").write_bytes(packed)
    source = opened("a.log")
    for partition in source.discover():
        source.seek(partition["partition"], 1, 0)
    batches: list[SourceBatch] = []
    with pytest.raises(
        SourceError, match=r"a\.log: compressed data (ends|is damaged).*decompressed position \d+"
    ):
        batches.extend(iter(source.read, None))
    read = b"".join(batch.payload for batch in batches)
    assert read
    if damage == "truncated":
        assert content.startswith(read)
        assert read.endswith(b"\n")


def test_a_truncated_gzip_waits_for_the_rest_while_following() -> None:
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    packed = gzip.compress(content)
    log = Path("a.log")
    log.write_bytes(packed[: len(packed) // 2])
    source = opened("a.log", until_end=False)
    read = drain(source)
    with log.open("ab") as file:
        file.write(packed[len(packed) // 2 :])
    read += drain(source)
    assert b"".join(batch.payload for batch in read) == content


@pytest.mark.parametrize("pattern", ["nothing.log", "no-*.log", "no/such/dir/a.log"])
def test_nothing_to_read_is_said(pattern: str) -> None:
    with pytest.raises(SourceError, match="no file matches"):
        opened(pattern).discover()


def test_a_pattern_waits_for_files_while_following() -> None:
    source = opened("*.log", until_end=False)
    assert source.discover() == []
    Path("a.log").write_bytes(b"one\n")
    assert values(drain(source)) == [b"one"]


def test_a_directory_and_other_schemes_are_refused() -> None:
    Path("logs").mkdir()
    with pytest.raises(SourceError, match="is a directory"):
        opened("logs").discover()
    with pytest.raises(UsageError, match="file:GLOB"):
        open_source("kafka://localhost/topic", NOTHING, "earliest", True, 1, 1)
    with pytest.raises(SourceError, match="earliest or latest"):
        opened("a.log", start="2026-01-01")
