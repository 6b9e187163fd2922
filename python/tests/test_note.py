from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from comporta.note import NOTHING, Note, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "note"
    path.write_bytes(NOTHING)
    return path


def noted(path: Path) -> tuple[int, int] | None:
    content = path.read_bytes()
    if zlib.crc32(content[:16]) != int.from_bytes(content[16:], "big"):
        return None
    return int.from_bytes(content[:8], "big"), int.from_bytes(content[8:16], "big")


def test_each_record_is_noted_before_it_is_handed_out_and_none_after_the_last(path: Path) -> None:
    note = Note(str(path))
    seen = [(value, noted(path)) for value in note.along("abc", [12, 20, 25], 10, 40)]
    assert seen == [("a", (10, 20)), ("b", (20, 25)), ("c", (25, 40))]
    assert noted(path) is None
    note.close()


def test_of_no_records_nothing_is_noted(path: Path) -> None:
    assert list(Note(str(path)).along([], [], 10, 40)) == []
    assert noted(path) is None


def test_a_forked_child_that_goes_on_writes_nothing(path: Path) -> None:
    inputs = Note(str(path)).along("abc", [0, 1, 2], 0, 3)
    next(inputs)
    child = os.fork()
    if child == 0:
        next(inputs)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert noted(path) == (0, 1)


def test_a_note_outlives_descriptors_that_user_code_closes(path: Path) -> None:
    child = os.fork()
    if child == 0:
        note = Note(str(path)).along("ab", [0, 1], 0, 2)
        os.closerange(3, 256)
        next(note)
        next(note)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert noted(path) == (1, 2)


def test_where_there_is_no_file_there_is_no_note(tmp_path: Path) -> None:
    assert opened(None) is None
    assert opened(os.fsencode(tmp_path / "none")) is None
    (tmp_path / "empty").touch()
    assert opened(os.fsencode(tmp_path / "empty")) is None
