"""An SQLite file as Comporta keeps one: checked, written in transactions, waited for when it is away.

Everything embedded lives in one file with one schema: generations, checkpoints, rows, output rows, dead
letters, the replay log and claims. Readers never wait for the writer (write-ahead log), and writers take
turns (`BEGIN IMMEDIATE`).
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from comporta.errors import StoreError, UsageError
from comporta.waiting import Pauses

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

APPLICATION_ID = 0x436F6D70  # "Comp"
SCHEMA_VERSION = 4
SMALLEST = (
    512  # bytes of the smallest database; SQLite would overwrite a file that is smaller, whatever it holds
)
BUSY_TIMEOUT = (
    10.0  # seconds that SQLite itself waits for another writer, before this module waits and says so
)
CACHE = 64 << 20  # bytes of pages in memory; claims are spread evenly over their table, and hit a page each
LOG_PAGES = 16_384  # 64 MiB of write-ahead log before it is copied, so that a page is copied less often

# What goes away by itself or by an administrator's hand. Waiting for anything else would hide a mistake.
NO_ROOM = ("disk I/O error", "unable to open database file")  # what opening a file on a full disk gives, too
PASSING = ("locked", "busy", "full", *NO_ROOM)
LEAST_ROOM = 1 << 20  # bytes; a disk with fewer is full

# A row's time is null where nothing expires, and then the index does not hold it, and costs nothing.
OUTPUT_ROWS = """
CREATE TABLE output_rows (
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    "index" INTEGER NOT NULL,
    time INTEGER,
    row TEXT NOT NULL,
    PRIMARY KEY (partition, "offset", "index")) WITHOUT ROWID;
CREATE INDEX output_row_times ON output_rows (partition, time) WHERE time IS NOT NULL;
"""

SCHEMA = f"""
CREATE TABLE generations (
    id TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    current INTEGER NOT NULL,
    created INTEGER NOT NULL,
    start TEXT,
    started INTEGER NOT NULL DEFAULT 0,
    definition TEXT NOT NULL,
    retired TEXT NOT NULL,
    origin TEXT);
CREATE UNIQUE INDEX current_generation ON generations (pipeline) WHERE current;

CREATE TABLE partitions (
    number INTEGER PRIMARY KEY,
    generation TEXT NOT NULL,
    partition TEXT NOT NULL,
    shown TEXT NOT NULL,
    meta BLOB NOT NULL,
    start INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    flush TEXT NOT NULL,
    mark BLOB NOT NULL,
    consumed INTEGER NOT NULL DEFAULT 0,
    counted INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    dead INTEGER NOT NULL DEFAULT 0,
    UNIQUE (generation, partition));

CREATE TABLE rows (
    partition INTEGER NOT NULL,
    metric TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    key TEXT NOT NULL,
    state NOT NULL,
    PRIMARY KEY (partition, metric, bucket, key)) WITHOUT ROWID;
{OUTPUT_ROWS}
CREATE TABLE letters (
    generation TEXT NOT NULL,
    partition TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    "next" INTEGER NOT NULL,
    shown TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    traceback TEXT,
    value BLOB,
    length INTEGER NOT NULL,
    "key" BLOB,
    headers BLOB NOT NULL,
    timestamp INTEGER,
    at INTEGER NOT NULL,
    code TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (generation, partition, "offset", attempt));

CREATE TABLE replay_log (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    generation TEXT NOT NULL,
    partition TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    attempt INTEGER NOT NULL);

CREATE TABLE replayed (
    generation TEXT NOT NULL,
    partition TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (generation, partition, "offset", attempt)) WITHOUT ROWID;

CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE claims (
    generation INTEGER NOT NULL REFERENCES names,
    id BLOB NOT NULL,
    partition INTEGER NOT NULL REFERENCES names,
    "offset" INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (generation, id)) WITHOUT ROWID;

PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""

ADDED = {
    2: f"{OUTPUT_ROWS} PRAGMA user_version = 3",
    3: "ALTER TABLE letters ADD COLUMN code TEXT NOT NULL DEFAULT ''; PRAGMA user_version = 4",
}
"""What makes a file of an earlier version one of the next. An older Comporta then refuses it, as it must: one
that deletes what it knows of a partition, and not its output rows, leaves them to the next of that number."""


class Database:
    """One connection to an SQLite file, for one thread at a time.

    `create` makes the file, its folders and its tables where they are missing; without it, a missing file
    raises `StoreError`, as do a file that is no database, another program's, or one of another version of
    Comporta. `durable` waits at each commit until it is on the disk; otherwise a power cut may undo the last
    ones, never tear them.
    """

    def __init__(self, path: Path, *, create: bool, durable: bool) -> None:
        self.path = path
        if create:
            make_folder(path)
        elif not path.exists():
            raise StoreError(f"{path}: there is no store here; it is made by the pipeline's first run")
        if path.is_file() and 0 < path.stat().st_size < SMALLEST:
            raise StoreError(f"{path}: file is not a database")
        try:
            self.connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: {error}") from error
        self._attempt(lambda: self._prepare(durable))

    def read(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """What `work` makes of one consistent view of the file."""
        return self._attempt(lambda: self._transaction("BEGIN", work))

    def write(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Run `work` in a transaction, again from its beginning while the file is locked or its disk full.

        As a commit whose outcome was an error may still have happened, `work` must find that out by itself.
        """
        return self._attempt(lambda: self._transaction("BEGIN IMMEDIATE", work))

    def stream(self, query: str, parameters: Sequence[object]) -> Iterator[Any]:
        """The rows of a query, one consistent view. Raises `StoreError` where they cannot be read."""
        try:
            yield from self.connection.execute(query, parameters)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: {error}") from error

    def _prepare(self, durable: bool) -> None:
        connection = self.connection
        if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise StoreError(
                f"{self.path}: cannot keep a write-ahead log here; is it on a network file system?"
            )
        connection.execute(f"PRAGMA cache_size = -{CACHE >> 10}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._transaction("BEGIN IMMEDIATE", self._check)

    def _check(self, connection: sqlite3.Connection) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == APPLICATION_ID:
            while version in ADDED:
                _run(connection, ADDED[version])
                version += 1
            if version != SCHEMA_VERSION:
                raise StoreError(
                    f"{self.path}: its tables have version {version}, and this Comporta reads version"
                    f" {SCHEMA_VERSION}; use the Comporta that wrote it, or another file"
                )
        elif tables:
            raise StoreError(f"{self.path}: this is another program's database; name another file")
        else:
            _run(connection, SCHEMA)

    def _transaction(self, begin: str, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        connection = self.connection
        connection.execute(begin)
        try:
            answer = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite has rolled back by itself after some errors
                connection.execute("ROLLBACK")
            raise
        return answer

    def _attempt(self, work: Callable[[], Answer]) -> Answer:
        """Try until it is done."""
        pauses = Pauses()
        while True:
            try:
                return work()
            except sqlite3.DatabaseError as error:
                if not any(passing in str(error) for passing in PASSING):
                    raise StoreError(f"{self.path}: {error}") from error
                logger.warning("%s: %s, nothing is lost", self.path, self._waited_for(str(error)))
            time.sleep(pauses.next())

    def _waited_for(self, error: str) -> str:
        """What an error is waited out for, in words."""
        if "full" in error or (error in NO_ROOM and _has_no_room(self.path.parent)):
            return "its disk is full; waiting for room to be made on it"
        return f"{error}; waiting"


def _run(connection: sqlite3.Connection, statements: str) -> None:
    """Execute statements as part of the transaction that is open."""
    for statement in statements.split(";"):
        connection.execute(statement)


def _has_no_room(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < LEAST_ROOM
    except OSError:
        return False


def database_path(url: str) -> Path:
    """The file that a URL `sqlite:PATH` names. Raises `UsageError` for any other URL."""
    scheme, _, path = url.partition(":")
    if scheme != "sqlite" or not path:
        raise UsageError(f"{url!r} is not a store; give sqlite:PATH, such as sqlite:.comporta/access-log.db")
    return Path(path)


def make_folder(path: Path) -> None:
    """Make the folder that `path` is in. Raises `StoreError` where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot make this folder for the store: {error.strerror}") from error
