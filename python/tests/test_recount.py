from __future__ import annotations

from pathlib import Path

import pytest

from comporta.errors import UsageError
from comporta.payloads import Known
from comporta.recount import recount
from comporta.sinks import Checkpoint, Ledger
from comporta.sources import Limits, open_source

LINES = b"one\ntwo\nthree\nfour"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """What a run has kept that read all of a file whose last line has no end."""
    path = tmp_path / "a.log"
    path.write_bytes(LINES)
    nothing = Known(generation="", started=False, start=None, partitions=[], origin=None, generations=None)
    source = open_source(f"file:{path}", nothing, "earliest", True, Limits(1 << 20, 1 << 20))
    [found] = source.discover()
    source.seek(found["partition"], 0)
    last = list(iter(source.read, None))[-1]
    assert last
    assert last.next == len(LINES)
    return Checkpoint(
        found["partition"], found["shown"], 0, last.next, "flush", last.mark, found["meta"], Ledger()
    )


def moved(checkpoint: Checkpoint, start: int, upto: int) -> Checkpoint:
    return Checkpoint(
        checkpoint.partition, checkpoint.shown, start, upto, "flush", b"", checkpoint.meta, Ledger()
    )


def test_all_that_was_consumed(checkpoint: Checkpoint, tmp_path: Path) -> None:
    assert recount(f"file:{tmp_path}/*.log", [checkpoint]) == {checkpoint.partition: 4}


@pytest.mark.parametrize(
    ("start", "upto", "count"), [(0, 0, 0), (0, 4, 1), (0, 14, 3), (4, 14, 2), (4, 18, 3)]
)
def test_a_part_of_it(checkpoint: Checkpoint, tmp_path: Path, start: int, upto: int, count: int) -> None:
    assert recount(f"file:{tmp_path}/a.log", [moved(checkpoint, start, upto)]) == {
        checkpoint.partition: count
    }


def test_what_came_later_is_not_counted(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with (tmp_path / "a.log").open("ab") as file:
        file.write(b"\nfive\n")
    (tmp_path / "b.log").write_bytes(b"another\n")
    counts = recount(f"file:{tmp_path}/*.log", [checkpoint])
    assert counts == {checkpoint.partition: 4}


def test_what_is_gone_is_not_in_it(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "a.log").unlink()
    (tmp_path / "b.log").write_bytes(b"another\n")
    assert recount(f"file:{tmp_path}/*.log", [checkpoint]) == {}


def test_standard_input_cannot_be_read_twice(checkpoint: Checkpoint) -> None:
    with pytest.raises(UsageError, match="cannot be counted again"):
        recount("-", [checkpoint])
