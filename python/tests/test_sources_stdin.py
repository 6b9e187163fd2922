from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from file_runs import lines
from source_contract import LIMITS, SourceContract, begin, read_all

from comporta.errors import SourceError
from comporta.sources import Batch, Limits, Source
from comporta.sources.stdin import Stdin, open_stdin


class Pipe:
    """What another process would have as its stdin."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.path = f"/proc/{os.getpid()}/fd/{self.reader}"

    def write(self, data: bytes) -> None:
        os.write(self.writer, data)

    def end(self) -> None:
        os.close(self.writer)
        self.writer = -1

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


class TestStdin(SourceContract):
    can_be_read_again = False

    def make(self, records: Sequence[bytes], until_end: bool) -> Source:
        pipe = Pipe()
        source = Stdin(open_stdin(pipe.path), until_end, LIMITS)
        pipe.write(b"\n".join(records) + b"\n")
        pipe.close()
        return source

    def values(self, batch: Batch) -> list[bytes]:
        return lines(batch)


def test_lines_are_read_as_they_come_and_the_last_one_when_stdin_ends(pipe: Pipe) -> None:
    source = Stdin(open_stdin(pipe.path), False, LIMITS)
    begin(source)
    assert source.read() is None
    pipe.write(b"one\ntw")
    assert [lines(batch) for batch in read_all(source)] == [[b"one"]]
    assert len(source.descriptors()) == 1
    pipe.write(b"o\nthree")
    assert [lines(batch) for batch in read_all(source)] == [[b"two"]]
    pipe.end()
    assert [lines(batch) for batch in read_all(source)] == [[b"three"]]
    assert source.descriptors() == []


def test_each_run_is_a_partition_of_its_own(pipe: Pipe) -> None:
    names = {Stdin(open_stdin(pipe.path), True, LIMITS).discover()[0]["partition"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("stdin-") and len(name) == 18 for name in names)


def test_a_line_too_long_passes_by_while_it_comes(pipe: Pipe) -> None:
    source = Stdin(open_stdin(pipe.path), True, Limits(4096, 1 << 20))
    begin(source)
    size = 5 << 20

    def write() -> None:
        pipe.write(b"before\n")
        for _ in range(size >> 15):
            pipe.write(b"y" * (1 << 15))
        pipe.write(b"\nafter")
        pipe.end()

    writer = threading.Thread(target=write)
    writer.start()
    batches = []
    while not (ends := source.ends()):
        batches += read_all(source)
    writer.join()
    assert [(batch.format, batch.first, batch.next) for batch in batches] == [
        ("lines", 0, 7),
        ("oversized", 7, size + 8),
        ("lines", size + 8, size + 13),
    ]
    assert ends[0][1] == size + 13


def test_a_file_as_stdin_is_read_from_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\n")
    with path.open("rb", buffering=0) as file:
        assert file.read(4) == b"one\n"
        source = Stdin(open_stdin(f"/proc/{os.getpid()}/fd/{file.fileno()}"), True, LIMITS)
        begin(source)
        assert [lines(batch) for batch in read_all(source)] == [[b"two"]]


def test_no_stdin_is_said() -> None:
    with pytest.raises(SourceError, match="there is no stdin"):
        open_stdin(None)
    with pytest.raises(SourceError, match="cannot open stdin: No such file"):
        open_stdin("/proc/0/fd/0")
