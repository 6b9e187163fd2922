from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from comporta.chaos import disk
from comporta.chaos.disk import Disk
from comporta.database import SCHEMA_VERSION, Database, database_path
from comporta.errors import StoreError, UsageError
from comporta.waiting import LONGEST_PAUSE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folders" / "store.db"


@pytest.fixture
def database(path: Path) -> Database:
    return Database(path, create=True, durable=True)


def fill(connection: sqlite3.Connection, bytes: int = 100_000) -> None:
    connection.execute("INSERT INTO replay_log VALUES (NULL, 'g', hex(zeroblob(?)), 0, 0)", [bytes])


def count(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM replay_log").fetchone()[0]
    return found


def test_a_file_is_made_with_its_folders_and_may_be_opened_again(path: Path) -> None:
    for _ in range(2):
        Database(path, create=True, durable=True).write(fill)
    assert Database(path, create=False, durable=False).read(count) == 2


def test_a_file_of_an_earlier_version_is_given_what_it_lacks(path: Path, database: Database) -> None:
    def age(connection: sqlite3.Connection) -> None:
        fill(connection)
        connection.execute("DROP TABLE output_rows")
        connection.execute("ALTER TABLE letters DROP COLUMN code")
        connection.execute("PRAGMA user_version = 2")

    def tables(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
        indexes = "SELECT name, sql FROM sqlite_master WHERE type <> 'table' ORDER BY name"
        columns = "SELECT m.name, c.* FROM sqlite_master AS m, pragma_table_info(m.name) AS c ORDER BY 1, 2"
        return [row for query in (indexes, columns) for row in connection.execute(query)]

    new = database.read(tables)
    database.write(age)
    renewed = Database(path, create=False, durable=False)
    assert renewed.read(tables) == new
    assert renewed.read(count) == 1
    assert renewed.connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_a_file_that_is_missing_is_not_made_by_readers(path: Path) -> None:
    with pytest.raises(StoreError, match="no store here"):
        Database(path, create=False, durable=False)
    assert not path.parent.exists()


def test_many_may_make_the_same_file_at_once(path: Path) -> None:
    opened: list[Database] = []
    threads = [
        threading.Thread(target=lambda: opened.append(Database(path, create=True, durable=True)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 8


def test_a_folder_that_cannot_be_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file: cannot make this folder"):
        Database(tmp_path / "file" / "store.db", create=True, durable=True)


def test_a_path_that_is_a_folder_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        Database(tmp_path, create=True, durable=True)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"x"])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a database"):
        Database(path, create=True, durable=True)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(StoreError, match="another program's"):
        Database(path, create=True, durable=True)


def test_a_mistake_is_undone_and_not_waited_for(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        fill(connection)
        connection.execute("SELECT nonsense")

    with pytest.raises(StoreError, match="nonsense"):
        database.write(work)
    assert database.read(count) == 0


def test_a_full_disk_is_waited_out(database: Database, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limit = database.connection.execute("PRAGMA page_count").fetchone()[0] + 10
    database.connection.execute(f"PRAGMA max_page_count = {limit}")
    tries = []

    def work(connection: sqlite3.Connection) -> int:
        tries.append(count(connection))
        if len(tries) == 4:  # somebody has made room
            connection.execute("PRAGMA max_page_count = 1000000")
        for _ in range(3):
            fill(connection)
        return count(connection)

    with caplog.at_level(logging.WARNING):
        assert database.write(work) == 3
    assert tries == [0, 0, 0, 0]
    assert f"{path}: its disk is full; waiting for room to be made on it, nothing is lost" in caplog.text


def test_a_disk_that_is_full_when_the_file_is_opened_is_waited_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if disk.missing():
        return
    folder = tmp_path / "store"
    folder.mkdir()
    full = Disk(folder)
    try:
        Database(folder / "store.db", create=True, durable=True).connection.close()
        full.fill()
        monkeypatch.setattr("comporta.database.time.sleep", lambda seconds: full.free())
        with caplog.at_level(logging.WARNING):
            opened = Database(folder / "store.db", create=True, durable=True)
        opened.write(fill)
        opened.connection.close()
    finally:
        full.close()
    [said] = caplog.messages
    assert (
        said == f"{folder / 'store.db'}: its disk is full; waiting for room to be made on it, nothing is lost"
    )


def test_a_locked_file_is_waited_for(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.connection.execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 12:
                other.execute("ROLLBACK")

        monkeypatch.setattr("comporta.database.time.sleep", sleep)
        with caplog.at_level(logging.WARNING):
            database.write(fill)
    assert database.read(count) == 1
    assert "locked; waiting" in caplog.text
    assert waits[0] < 0.1
    assert LONGEST_PAUSE / 2 < waits[-1] <= LONGEST_PAUSE * 1.5  # they grow, up to a bound, and differ
    assert len({wait / pause for wait, pause in pairwise(waits)}) > 1


def test_readers_see_one_state_and_wait_for_no_writer(database: Database, path: Path) -> None:
    database.write(fill)
    reader = Database(path, create=False, durable=False)

    def work(connection: sqlite3.Connection) -> tuple[int, int]:
        before = count(connection)
        database.write(fill)
        return before, count(connection)

    assert reader.read(work) == (1, 1)
    assert reader.read(count) == 2


@pytest.mark.parametrize("url", ["sqlite:", "sqlite", "", "/var/store.db", "cassandra://host/keyspace"])
def test_a_url_that_is_no_sqlite_file_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="sqlite:PATH"):
        database_path(url)


def test_a_url_names_a_path() -> None:
    assert database_path("sqlite:.comporta/a b.db") == Path(".comporta/a b.db")
    assert database_path("sqlite:/var/a:b.db") == Path("/var/a:b.db")
