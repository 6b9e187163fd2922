"""One run at a time owns a pipeline in an SQLite file: a lock that ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from comporta.errors import StoreError


class Ownership:
    """The lock on a pipeline's name beside an SQLite file, and who holds it, written into the locked file.

    It is an `flock`, so that the kernel releases it when its holder is killed. The file stays: deleting it
    would let two processes lock two files of one name.
    """

    def __init__(self, database: Path, pipeline: str) -> None:
        self._path = database.with_name(f"{database.name}.{pipeline}.lock")
        self._file: TextIO | None = None

    def take(self) -> str | None:
        """Hold the lock until this process ends. Returns None, or who holds it already, in words."""
        if self._file is not None:
            return None
        try:
            file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{self._path}: cannot open the lock file: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                file.seek(0)
                return holder(file.read())
        self._file = file
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        signature = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})
        with contextlib.suppress(OSError):  # where the disk is full it has the lock all the same
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), signature.encode())
        return None


def holder(text: str) -> str:
    """Who wrote `text` into a lock file, in words."""
    try:
        who = json.loads(text)
        return f"process {who['pid']} on {who['host']}, since {who['since']}"
    except (ValueError, KeyError, TypeError):  # it has not signed yet, or could not
        return "a process that has not signed it"
