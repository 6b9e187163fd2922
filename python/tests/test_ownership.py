from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from comporta.errors import StoreError
from comporta.ownership import Ownership

HOLD = """
import sys, time
from pathlib import Path
from comporta.ownership import Ownership
ownership = Ownership(Path(sys.argv[1]), "access-log")
print(ownership.take(), flush=True)
time.sleep(600)
"""


def test_who_holds_it_is_said_to_others_until_they_are_killed(tmp_path: Path) -> None:
    database = tmp_path / "store.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, database], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "None\n"
        mine = Ownership(database, "access-log")
        held = mine.take()
        assert held is not None
        assert held.startswith(f"process {process.pid} on {socket.gethostname()}, since 20")
        process.kill()
        process.wait()
        assert mine.take() is None
        assert mine.take() is None  # it is held
        other = Ownership(database, "access-log").take()
        assert other is not None
        assert other.startswith(f"process {os.getpid()} on ")


def test_pipelines_are_owned_one_by_one(tmp_path: Path) -> None:
    ownerships = [Ownership(tmp_path / "store.db", name) for name in ("access-log", "other")]
    assert [ownership.take() for ownership in ownerships] == [None, None]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"pid": 1}', '{"pid'])
def test_an_owner_that_has_not_signed_is_still_one(tmp_path: Path, text: str) -> None:
    first = Ownership(tmp_path / "store.db", "access-log")
    first.take()
    (tmp_path / "store.db.access-log.lock").write_text(text)
    assert Ownership(tmp_path / "store.db", "access-log").take() == "a process that has not signed it"


def test_a_full_disk_keeps_no_one_from_owning(tmp_path: Path) -> None:
    (tmp_path / "store.db.access-log.lock").symlink_to("/dev/full")
    assert Ownership(tmp_path / "store.db", "access-log").take() is None


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open the lock file"):
        Ownership(tmp_path / "missing" / "store.db", "access-log").take()
