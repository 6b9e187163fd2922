"""A disk is full when it is told to be, and keeps what is on it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from comporta.chaos import disk
from comporta.chaos.disk import Disk


def test_a_disk_is_full_and_has_room_again(tmp_path: Path) -> None:
    if words := disk.missing():
        assert "takes root" in words
        return
    folder = tmp_path / "store"
    folder.mkdir()
    full = Disk(folder)
    try:
        (folder / "file").write_bytes(b"before")
        assert full.fill() == full.used > 0
        with pytest.raises(OSError, match="No space left") as raised:
            (folder / "other").write_bytes(b"more")
        assert raised.value.errno == errno.ENOSPC
        full.free()
        (folder / "other").write_bytes(b"more")
    finally:
        full.close()
    assert not folder.is_mount()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "file": b"before",
        "other": b"more",
    }
