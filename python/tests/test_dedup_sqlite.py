from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from claims_contract import ClaimsContract, Connect

from comporta.dedup import open_claims
from comporta.sinks import open_sink


class TestSQLiteClaims(ClaimsContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda generation, within: open_claims(f"sqlite:{tmp_path}/store.db", generation, within)


def test_expired_claims_are_deleted_while_others_are_made(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_claims(f"sqlite:{path}", "old", 0.1).claim(
        [(b"%d" % number, "file-1", number) for number in range(1000)]
    )
    claims = open_claims(f"sqlite:{path}", "new", 86_400)
    asked = 0
    deadline = time.monotonic() + 10
    while count_of(path) != asked:
        assert time.monotonic() < deadline
        claims.claim([(b"%d" % number, "file-1", number) for number in range(asked, asked + 100)])
        asked += 100
        time.sleep(0.1)
    assert asked >= 500  # little by little, not all at once


def test_claims_may_be_made_in_the_store_while_it_is_in_use(tmp_path: Path) -> None:
    open_sink(f"sqlite:{tmp_path}/store.db", create=True)
    assert open_claims(f"sqlite:{tmp_path}/store.db", "new", 60).claim([(b"a", "file-1", 1)]) == b"\x01"


def count_of(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute("SELECT count(*) FROM claims").fetchone()[0]
    return count
