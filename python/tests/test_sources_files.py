from __future__ import annotations

import gzip
import os
import random
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from file_runs import NOTHING, Run, lines, open_files
from hypothesis import given, settings
from hypothesis import strategies as st
from source_contract import SourceContract, begin, read_all

from comporta.errors import SourceError, UsageError
from comporta.sources import Batch, Limits, Source, files, open_source


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class TestPlainFiles(SourceContract):
    def make(self, records: Sequence[bytes], until_end: bool) -> Source:
        half = len(records) // 2
        Path("a.log").write_bytes(b"\n".join(records[:half]) + b"\n")
        Path("b.log").write_bytes(b"\n".join(records[half:]) + b"\n")
        return open_files("*.log", until_end=until_end)

    def values(self, batch: Batch) -> list[bytes]:
        return lines(batch)


class TestCompressedFiles(TestPlainFiles):
    def make(self, records: Sequence[bytes], until_end: bool) -> Source:
        half = len(records) // 2
        members = [gzip.compress(b"\n".join(part) + b"\n") for part in (records[:half], records[half:])]
        Path("a.log").write_bytes(b"".join(members))
        return open_files("a.log", until_end=until_end)


LOGS = st.lists(
    st.lists(st.sampled_from([b"", b"\0", b"\r", b"\xff\xfe", b"a", b"line " * 30]), max_size=40), max_size=4
)


@settings(max_examples=60, deadline=None)
@given(LOGS, st.booleans(), st.integers(1, 200), st.randoms())
def test_whatever_files_hold_is_read_exactly_once_through_kills_and_resumes(
    tmp_path_factory: pytest.TempPathFactory,
    logs: list[list[bytes]],
    is_compressed: bool,
    batch_bytes: int,
    random: random.Random,
) -> None:
    os.chdir(tmp_path_factory.mktemp("files"))
    for number, log in enumerate(logs):
        data = b"\n".join(log)
        Path(f"{number}.log").write_bytes(gzip.compress(data) if is_compressed else data)
    read: list[bytes] = []
    run = None
    while logs:
        run = Run("*.log", run, limits=Limits(batch_bytes, 10_000))
        if random.random() < 0.5:
            read += run.read(random.randrange(1, 10)).lines
        else:
            read += run.finish()
            break
    expected = [line for log in logs for line in (b"\n".join(log) + b"\n").split(b"\n")[:-1] if log]
    for log in logs:  # what follows the last line end is a line only if there is something of it
        if log and log[-1] == b"":
            expected.remove(b"")
    assert sorted(read) == sorted(expected)


def test_partitions_take_turns() -> None:
    for name in ("a", "b", "c"):
        Path(f"{name}.log").write_bytes(b"x\n" * 5000)
    source = open_files("*.log")
    begin(source)
    turns = [batch.shown for batch in iter(source.read, None)]
    assert turns[:6] == ["a.log", "b.log", "c.log"] * 2


def test_two_stars_reach_into_folders_and_names_may_be_of_any_bytes() -> None:
    Path("logs/deep").mkdir(parents=True)
    Path("logs/deep/a.log").write_bytes(b"one\n")
    Path(os.fsdecode(b"logs/\xff.log")).write_bytes(b"two\n")
    run = Run("logs/**/*.log")
    assert sorted(run.finish()) == [b"one", b"two"]
    assert sorted(known["shown"] for known in run.partitions.values()) == [
        "logs/\\xff.log",
        "logs/deep/a.log",
    ]
    assert Run("logs/**/*.log", run).finish() == []


def test_a_name_that_looks_like_a_pattern_names_its_file() -> None:
    Path("a[1].log").write_bytes(b"one\n")
    assert Run("a[1].log").finish() == [b"one"]


def test_a_file_of_two_names_is_one() -> None:
    Path("a.log").write_bytes(b"one\n")
    Path("b.log").symlink_to("a.log")
    os.link("a.log", "c.log")
    assert Run("*.log").finish() == [b"one"]


def test_two_files_that_begin_alike_are_two() -> None:
    for name in ("a.log", "b.log"):
        Path(name).write_bytes(b"the same\n" * 200)
    run = Run("*.log")
    assert len(run.finish()) == 400
    assert Run("*.log", run).finish() == []


def test_an_empty_file_ends_at_once() -> None:
    Path("a.log").touch()
    run = Run("a.log")
    assert run.finish() == []
    assert list(run.ends.values()) == [0]


def test_the_end_is_where_a_file_ended_at_the_start() -> None:
    log = Path("a.log")
    log.write_bytes(b"one\ntwo\n")
    source = open_files("a.log")
    starts = begin(source)
    with log.open("ab") as file:
        file.write(b"three\n")
    Path("b.log").write_bytes(b"later\n")
    assert [lines(batch) for batch in read_all(source)] == [[b"one", b"two"]]
    assert source.ends() == [(partition, 8) for partition in starts]


def test_a_line_that_is_finished_while_it_is_read_is_read_whole() -> None:
    log = Path("a.log")
    log.write_bytes(b"one\ntw")
    source = open_files("a.log")
    begin(source)
    with log.open("ab") as file:
        file.write(b"o\nthree\n")
    assert [lines(batch) for batch in read_all(source)] == [[b"one", b"two"]]


def test_an_unfinished_line_waits_for_its_end_while_its_file_is_followed() -> None:
    log = Path("a.log")
    log.write_bytes(b"one\ntw")
    run = Run("a.log", until_end=False)
    assert run.read().lines == [b"one"]
    with log.open("ab") as file:
        file.write(b"o\nthree")
    assert run.read().lines == [b"one", b"two"]
    assert Run("a.log", run).finish() == [b"three"]


def test_the_end_of_a_line_that_was_read_unfinished_is_no_line() -> None:
    log = Path("a.log")
    log.write_bytes(b"one\ntwo")
    run = Run("a.log")
    assert run.finish() == [b"one", b"two"]
    with log.open("ab") as file:
        file.write(b"\n")
    run = Run("a.log", run)
    assert run.finish() == []
    with log.open("ab") as file:
        file.write(b"three")
    run = Run("a.log", run)
    assert run.finish() == [b"three"]
    with log.open("ab") as file:
        file.write(b"\nfour\n")
    assert Run("a.log", run).finish() == [b"four"]


def test_the_rest_of_a_line_that_was_read_unfinished_is_a_line_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Path("a.log")
    log.write_bytes(b"one\ntw")
    run = Run("a.log")
    run.finish()
    with log.open("ab") as file:
        file.write(b"o\n")
    assert Run("a.log", run).finish() == [b"o"]
    assert "read unfinished" in caplog.text


def test_latest_holds_for_the_files_of_the_first_start_alone() -> None:
    Path("a.log").write_bytes(b"old\nunfin")
    Path("c.log").write_bytes(gzip.compress(b"old\n" * 100_000))
    run = Run("*.log", until_end=False, start="latest")
    assert run.read().lines == []
    Path("b.log").write_bytes(b"new\n")
    with Path("a.log").open("ab") as file:
        file.write(b"ished\n")
    assert sorted(run.read().lines) == [b"new", b"unfinished"]
    Path("d.log").write_bytes(b"newer\n")
    assert Run("*.log", run, start="latest").finish() == [b"newer"]


def test_a_reset_says_where_to_start_before_the_run_does() -> None:
    Path("a.log").write_bytes(b"old\n")
    assert begin(open_files("a.log", {**NOTHING, "start": "latest"}, start="earliest")).popitem()[1] == 4
    assert begin(open_files("a.log", {**NOTHING, "start": "earliest"}, start="latest")).popitem()[1] == 0


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_line_too_long_is_read_past_in_flat_memory(is_compressed: bool) -> None:
    size = 30 << 20
    opener = gzip.open if is_compressed else open
    with opener("a.log", "wb") as file:
        file.write(b"before\n")
        for _ in range(size >> 20):
            file.write(b"y" * (1 << 20))
        file.write(b"\nafter\n")
    source = open_files("a.log", limits=Limits(1 << 16, 1 << 20))
    begin(source)
    tracemalloc.start()
    batches = read_all(source)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(batch.format, batch.first, batch.next) for batch in batches] == [
        ("lines", 0, 7),
        ("oversized", 7, size + 8),
        ("lines", size + 8, size + 14),
    ]
    assert bytes(batches[1].payload) == b"y" * (64 << 10)
    assert most < 8 << 20


def test_a_long_line_is_an_ordinary_record() -> None:
    long = b"x" * (10 << 20)
    Path("a.log").write_bytes(b"short\n" + long + b"\nend\n")
    run = Run("a.log", limits=Limits(1 << 20, (64 << 20) - (128 << 10)))
    assert run.finish() == [b"short", long, b"end"]


def test_more_files_than_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_OPEN", 5)
    names = [f"{number}.log" for number in range(40)]
    for name in names:
        Path(name).write_bytes(b"x\n" * 1000)
    run = Run("*.log", until_end=False)
    descriptors = open_descriptors()
    assert len(run.read().lines) == 40_000
    assert open_descriptors() <= descriptors + 5
    for name in names:
        with Path(name).open("ab") as file:
            file.write(b"y\n")
    assert run.read().lines[40_000:] == [b"y"] * 40


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("pattern", ["nothing.log", "no-*.log", "no/such/folder/a.log"])
def test_nothing_to_read_is_said(pattern: str) -> None:
    with pytest.raises(SourceError, match=r"there is no such file|no file matches no-\*\.log"):
        open_files(pattern).discover()


def test_what_is_followed_must_be_there_or_be_a_pattern(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with pytest.raises(SourceError, match=r"a\.log: there is no such file"):
        open_files("a.log", until_end=False).discover()
    run = Run("*.log", until_end=False)
    assert run.read().lines == []
    assert "no file matches *.log yet" in caplog.text
    Path("a.log").write_bytes(b"one\n")
    assert run.read().lines == [b"one"]


def test_what_is_not_a_file_is_refused() -> None:
    Path("logs").mkdir()
    with pytest.raises(SourceError, match=r"logs: this is a folder; name files, such as file:logs/\*\.log"):
        open_files("logs").discover()
    os.mkfifo("pipe")
    with pytest.raises(SourceError, match="pipe: this is not a regular file"):
        open_files("pipe").discover()
    with pytest.raises(UsageError, match="file:GLOB"):
        open_source("http://localhost/topic", NOTHING, "earliest", True, Limits(1, 1))
    with pytest.raises(UsageError, match="file:GLOB"):
        open_files("")
    with pytest.raises(SourceError, match="files start at earliest or latest"):
        open_files("a.log", start="2026-01-01")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_said() -> None:
    Path("a.log").write_bytes(b"one\n")
    Path("a.log").chmod(0)
    with pytest.raises(SourceError, match=r"a\.log: Permission denied"):
        open_files("a.log").discover()


def test_a_file_in_doubt_about_its_kind_is_not_read_until_it_is_clear() -> None:
    packed = gzip.compress(b"one\ntwo\n")
    Path("a.log").write_bytes(packed[:1])
    run = Run("a.log", until_end=False)
    assert run.read().lines == []
    Path("a.log").write_bytes(packed)
    assert run.read().lines == [b"one", b"two"]


@pytest.mark.parametrize("damage", ["truncated", "corrupt", "padded with something else"])
def test_a_damaged_gzip_is_read_as_far_as_it_goes_and_fails_when_that_is_durable(damage: str) -> None:
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    packed = bytearray(gzip.compress(content))
    if damage == "truncated":
        del packed[len(packed) // 2 :]
    elif damage == "corrupt":
        packed[len(packed) // 2] ^= 0xFF
    else:
        packed += b"\0\0something else"
    Path("a.log").write_bytes(packed)
    Path("b.log").write_bytes(b"sound\n")
    run = Run("*.log")
    run.read()
    assert b"sound" in run.lines
    assert len(run.lines) > 100
    if damage != "corrupt":
        assert content.startswith(b"\n".join(line for line in run.lines if line != b"sound") + b"\n")
    message = r"a\.log: compressed data (ends|breaks) at decompressed position \d+; what came before was read"
    with pytest.raises(SourceError, match=message):
        run.source.discover()
    with pytest.raises(SourceError, match=message):
        Run("*.log", run).finish()
    Path("a.log").write_bytes(gzip.compress(content))
    if damage == "truncated":
        run.lines += Run("*.log", run).finish()
        assert sorted(run.lines) == sorted([*content.splitlines(), b"sound"])


def test_a_truncated_gzip_waits_for_the_rest_while_it_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    packed = gzip.compress(content)
    log = Path("a.log")
    log.write_bytes(packed[: len(packed) // 2])
    run = Run("a.log", until_end=False)
    for _ in range(3):
        run.read()
    assert caplog.text.count("waiting for more") == 1
    with log.open("ab") as file:
        file.write(packed[len(packed) // 2 :] + gzip.compress(b"more\n"))
    assert run.read().lines == [*content.splitlines(), b"more"]


def test_a_corrupt_gzip_stops_alone_while_others_are_followed(caplog: pytest.LogCaptureFixture) -> None:
    packed = bytearray(gzip.compress(random.Random(1).randbytes(100_000)))
    packed[len(packed) // 2 : len(packed) // 2 + 1000] = bytes(1000)
    Path("a.log").write_bytes(packed)
    Path("b.log").write_bytes(b"one\n")
    run = Run("*.log", until_end=False)
    run.read()
    assert "a.log: compressed data breaks at decompressed position" in caplog.text
    with Path("b.log").open("ab") as file:
        file.write(b"two\n")
    run.lines.clear()
    assert run.read().lines == [b"two"]


def test_a_batch_of_tiny_lines_is_bounded_by_their_number() -> None:
    Path("a.log").write_bytes(b"\n" * 120_001 + b"end")
    source = open_source("file:a.log", NOTHING, "earliest", True, Limits(1 << 20, 1 << 20))
    begin(source)
    batches = read_all(source)
    assert [batch.count for batch in batches] == [50_000, 50_000, 20_001, 1]
    assert b"".join(batch.payload for batch in batches) == Path("a.log").read_bytes()
