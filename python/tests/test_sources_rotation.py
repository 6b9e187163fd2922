"""Which file is which partition, through all that rotation does: each line is read once, whatever it is in by
then.
"""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from random import Random

import pytest
from file_runs import Run
from hypothesis import given, settings
from hypothesis import strategies as st

from comporta.sources import Limits, inventory
from comporta.sources.content import Content
from comporta.sources.identity import Identity
from comporta.sources.lines import FINGERPRINT, Cutter, fingerprint

CONTENT = b"".join(b"line %d\n" % number for number in range(500))
HALF = CONTENT.index(b"line 300\n")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def append(path: str, data: bytes) -> None:
    with Path(path).open("ab") as file:
        file.write(data)


def compress(path: str) -> None:
    """As `gzip` does it: beside the file, which then goes."""
    Path(f"{path}.gz").write_bytes(gzip.compress(Path(path).read_bytes()))
    Path(path).unlink()


def copy_and_truncate(path: str, copy: str) -> None:
    shutil.copy(path, copy)
    os.truncate(path, 0)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["a.log", "a.log*"]))
def test_every_line_is_read_once_through_rotations_and_restarts_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int, pattern: str
) -> None:
    random = Random(seed)
    os.chdir(tmp_path_factory.mktemp("rotation"))
    Path("a.log").touch()
    run = Run(pattern, until_end=False)
    written: list[bytes] = []
    read: list[bytes] = []

    def look() -> None:
        for _ in range(2):  # a file that was truncated is looked for as a new one the next time
            read.extend(run.read(random.choice([2, 1000])).lines)
            run.lines.clear()

    for number in range(30):
        for _ in range(random.randrange(80)):
            written.append(b"%d %s" % (len(written), b"x" * random.randrange(50)))
            append("a.log", written[-1] + b"\n")
        action = random.choice(["rename", "copy", "compress", "restart", "look", "look"])
        if action != "restart":
            look()  # a log that was never looked at under the name that was asked for is not known by another
        if action == "rename":
            Path("a.log").rename(f"a.log.{number}")
            Path("a.log").touch()
        elif action == "copy":
            copy_and_truncate("a.log", f"a.log.{number}")
        elif action == "compress" and (rotated := sorted(map(str, Path().glob("a.log.*[0-9]")))):
            compress(random.choice(rotated))
        elif action == "restart":
            limits = Limits(random.choice([100, 5000]), 100_000)
            run = Run(pattern, run, until_end=False, limits=limits)
    run.read()  # what was truncated or deleted since the last look is found elsewhere
    read += run.lines + Run(pattern, run).finish()
    assert sorted(read) == sorted(written)


def test_a_renamed_file_goes_on_as_its_partition_and_the_new_one_of_its_name_is_another() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log", until_end=False)
    run.read()
    append("a.log", CONTENT[HALF:])
    Path("a.log").rename("a.log.1")
    append("a.log", b"another log\n")
    run.read()
    append("a.log.1", b"late\n")  # by a writer that has not noticed yet
    assert sorted(run.read().lines) == sorted([*CONTENT.splitlines(), b"another log", b"late"])
    assert len(run.partitions) == 2
    resumed = Run("a.log", run)
    assert resumed.finish() == []
    assert sorted(known["shown"] for known in resumed.partitions.values()) == ["a.log", "a.log.1"]


@pytest.mark.parametrize("pattern", ["a.log", "a.log*"])
@pytest.mark.parametrize("small", [True, False])
def test_what_was_renamed_copied_or_compressed_while_stopped_is_known_again(
    pattern: str, small: bool
) -> None:
    content = b"one\ntwo\n" if small else CONTENT
    append("a.log", content)
    run = Run(pattern)
    assert len(run.finish()) == content.count(b"\n")
    for rotate in (
        lambda: Path("a.log").rename("a.log.1"),
        lambda: Path("a.log.1").rename("a.log.2"),
        lambda: (shutil.copy("a.log.2", "a.log.3"), Path("a.log.2").unlink()),
        lambda: compress("a.log.3"),
        lambda: Path("a.log.3.gz").rename("a.log.4.gz"),
    ):
        rotate()
        run = Run(pattern, run)
        assert run.finish() == []
        assert len(run.partitions) == 1


def test_unread_lines_are_read_from_the_compressed_file() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log")
    run.finish()
    append("a.log", CONTENT[HALF:])
    compress("a.log")
    append("a.log", b"another log\n")
    run = Run("a.log", run)
    assert sorted(run.finish()) == sorted([*CONTENT[HALF:].splitlines(), b"another log"])


@pytest.mark.parametrize("is_running", [True, False])
def test_copy_and_truncate_goes_on_in_the_copy_and_starts_a_new_partition(is_running: bool) -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log*", until_end=False)
    run.read()
    append("a.log", CONTENT[HALF:])
    copy_and_truncate("a.log", "a.log.1")
    append("a.log", b"another log\n")
    if not is_running:
        run = Run("a.log*", run, until_end=False)
        run.lines += CONTENT[:HALF].splitlines()
    for _ in range(2):
        run.read()
    assert sorted(run.lines) == sorted([*CONTENT.splitlines(), b"another log"])
    assert len(run.partitions) == 2
    assert Run("a.log*", run).finish() == []


def test_truncation_is_noticed_though_the_file_has_grown_again() -> None:
    append("a.log", b"old\n" * 1000)
    run = Run("a.log", until_end=False)
    run.read()
    Path("a.log").write_bytes(b"new\n" * 2000)
    run.read()
    assert run.read().lines[1000:] == [b"new"] * 2000
    assert len(run.partitions) == 2


def test_an_inode_that_holds_another_content_is_another_log() -> None:
    append("a.log", b"old line\n" * 100)
    run = Run("a.log")
    run.finish()
    Path("a.log").write_bytes(b"new line\n" * 100)
    run = Run("a.log", run)
    assert run.finish() == [b"new line"] * 100
    assert len(run.partitions) == 2


def test_another_host_or_file_system_knows_a_log_by_its_content() -> None:
    append("a.log", CONTENT)
    run = Run("a.log")
    run.finish()
    [known] = run.partitions.values()
    identity = Identity.unpack(known["meta"])
    known["meta"] = Identity(**{**vars(identity), "host": "elsewhere", "inode": 1}).pack()
    assert Run("a.log", run).finish() == []


def test_another_name_takes_more_than_a_few_bytes_to_be_known_again() -> None:
    append("a.log", b"one\n")
    append("b.log", CONTENT)
    run = Run("*.log")
    run.finish()
    for old, new in (("a.log", "c.log"), ("b.log", "d.log")):
        shutil.copy(old, new)  # before the other goes, whose inode it would be given
        Path(old).unlink()
    assert Run("*.log", run).finish() == [b"one"]


def test_a_log_that_is_gone_is_left_alone_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    append("a.log", CONTENT)
    append("b.log", b"one\n")
    run = Run("*.log")
    run.finish()
    Path("a.log").unlink()
    append("b.log", b"two\n")
    assert Run("*.log", run).finish() == [b"two"]
    assert "gone, and left alone: a.log" in caplog.text


def test_a_log_that_comes_back_goes_on_where_it_was() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("*.log", until_end=False)
    run.read()
    Path("a.log").rename("elsewhere")
    run = Run("*.log", run, until_end=False)
    assert run.read().lines == []
    append("elsewhere", CONTENT[HALF:])
    Path("elsewhere").rename("a.log")
    assert run.read().lines == CONTENT[HALF:].splitlines()
    assert len(run.partitions) == 1


def test_a_deleted_file_is_read_to_its_end() -> None:
    append("a.log", CONTENT)
    run = Run("a.log*", until_end=False, limits=Limits(100, 1000))
    run.read(most=3)
    Path("a.log").unlink()
    assert run.read().lines == CONTENT.splitlines()


def test_what_was_added_to_a_file_since_it_was_read_is_read_though_it_is_deleted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log", until_end=False)
    run.read()
    append("a.log", CONTENT[HALF:] + b"unfinished")
    Path("a.log").unlink()
    for _ in range(2):
        run.read()
    assert run.lines == CONTENT.splitlines()
    assert "a.log was deleted with an unfinished line of 10 bytes" in caplog.text


def test_a_log_that_was_only_found_is_read_though_it_is_moved_out_of_sight_and_deleted() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log", until_end=False)
    run.read(most=0)
    append("a.log", CONTENT[HALF:])
    Path("archive").mkdir()
    Path("a.log").rename("archive/1")
    compress("archive/1")
    assert run.read().lines == CONTENT.splitlines()


def test_a_log_that_was_found_again_is_read_though_its_copy_is_moved_out_of_sight_and_deleted() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log", until_end=False)
    run.read()
    append("a.log", CONTENT[HALF:])
    copy_and_truncate("a.log", "a.log.1")
    assert run.source.read() is None  # it goes on in the copy, at its next turn
    run.read(most=0)
    Path("archive").mkdir()
    Path("a.log.1").rename("archive/1")
    compress("archive/1")
    assert run.read().lines == CONTENT.splitlines()


def test_the_descriptor_of_a_deleted_file_is_kept_until_what_was_read_of_it_is_durable() -> None:
    append("a.log", CONTENT)
    run = Run("a.log*", until_end=False)
    run.source.checkpoint = lambda partition, upto: None  # type: ignore[method-assign]
    run.read()
    [partition] = run.partitions
    Path("a.log").unlink()
    run.read()
    run.source.seek(partition, 0)
    assert sum(batch.count for batch in iter(run.source.read, None)) == 500


def test_a_file_compressed_beside_a_log_that_is_read_waits_and_is_the_log_when_that_goes() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log*", until_end=False)
    run.read()
    packed = gzip.compress(CONTENT)
    for end in (0, 10, len(packed) // 2, len(packed)):
        Path("a.log.gz").write_bytes(packed[:end])
        assert len(run.read().lines) == 300
    Path("a.log").unlink()
    for _ in range(2):
        run.read()
    assert run.lines == CONTENT.splitlines()
    assert len(run.partitions) == 1


def test_a_copy_that_stays_beside_its_log_is_read_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    append("a.log", CONTENT)
    run = Run("a.log*", until_end=False)
    run.read()
    shutil.copy("a.log", "a.log.1")
    assert len(run.read().lines) == 500
    monkeypatch.setattr(inventory, "COPY_PATIENCE", 0.0)
    assert len(run.read().lines) == 1000
    assert "each is read" in caplog.text


def test_a_newcomer_that_only_begins_as_a_log_does_is_read_at_once() -> None:
    header = b"the same heading\n" * 100
    append("a.log", header + CONTENT)
    run = Run("*.log", until_end=False)
    run.read()
    append("b.log", header + b"something else\n")
    assert len(run.read().lines) == 600 + 101


def test_a_log_of_which_nothing_was_read_is_known_again_when_its_file_is_another() -> None:
    append("a.log", CONTENT[:HALF])
    run = Run("a.log", until_end=False)
    run.read(0)
    copy_and_truncate("a.log", "a.log.1")
    append("a.log", CONTENT[HALF:] * 3)  # as long as it was, and longer
    for _ in range(2):
        run.read()
    assert sorted(run.lines) == sorted((CONTENT[:HALF] + CONTENT[HALF:] * 3).splitlines())


def test_a_log_that_is_being_compressed_at_the_first_look_is_read_once() -> None:
    append("a.log", CONTENT)
    Path("a.log.gz").write_bytes(gzip.compress(CONTENT)[:-100])
    run = Run("a.log*", until_end=False)
    run.read()
    assert run.lines == CONTENT.splitlines()
    Path("a.log.gz").write_bytes(gzip.compress(CONTENT))
    Path("a.log").unlink()
    for _ in range(2):
        run.read()
    assert run.lines == CONTENT.splitlines()
    assert len(run.partitions) == 1


class Truncated(Content):
    """A content that is gone once it has been read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, position: int, size: int) -> bytes:
        data, self._data = self._data[position : position + size], b""
        return data

    def extent(self, position: int) -> int:
        return min(position, len(self._data))

    def file_size(self, position: int) -> int:
        return position


def test_lines_are_known_again_by_what_was_read_however_soon_the_file_is_truncated() -> None:
    batch = Cutter(Truncated(CONTENT), 0, Limits(1 << 20, 1 << 20)).next(None, is_final=False)
    assert batch is not None
    assert batch.mark == fingerprint(CONTENT[-FINGERPRINT:])


def test_until_the_end_an_uncompressed_copy_is_read_at_once(caplog: pytest.LogCaptureFixture) -> None:
    append("a.log", CONTENT)
    run = Run("*.log")
    run.finish()
    shutil.copy("a.log", "b.log")
    assert len(Run("*.log", run).finish()) == 500
    assert "each is read" in caplog.text


def test_until_the_end_a_compressed_copy_beside_its_log_is_waited_for() -> None:
    append("a.log", CONTENT)
    run = Run("a.log*")
    run.finish()
    Path("a.log.gz").write_bytes(gzip.compress(CONTENT))
    run = Run("a.log*", run)
    assert run.read().lines == []
    assert not run.source.is_listed()
    Path("a.log").unlink()
    assert run.finish() == []
    assert len(run.partitions) == 1
