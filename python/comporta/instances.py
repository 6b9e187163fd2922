"""The ids under which processes are static members of a consumer group.

An id is the number of a lock file in the data directory, held for as long as its process lives, so that one
that is killed and started again finds its id free; the file keeps the id for whoever asks later.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from comporta.data import data_directory, lock, open_file, write
from comporta.errors import UsageError

VARIABLE = "COMPORTA_INSTANCE_ID"

_locks: list[int] = []  # descriptors that are held until the process ends


class Instances(NamedTuple):
    """Ids that processes have had, or have now."""

    idle: list[str]
    held: list[str]


def given_id() -> str | None:
    """The id that the environment names. Raises `UsageError` for what cannot be one."""
    given = os.environ.get(VARIABLE)
    if given and not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", given):
        raise UsageError(
            f"{VARIABLE} is {given!r}: it must be of letters, digits, '.', '_' and '-', at most 249"
        )
    return given or None


def instance_id(group: str) -> str:
    """The id under which this process is a member of `group`, for as long as it lives.

    It is `COMPORTA_INSTANCE_ID`, or else made of the host, the data directory and the first free of numbered
    lock files in there. Raises `UsageError` where that cannot be.
    """
    if given := given_id():
        return given
    directory = _directory()
    host = re.sub(r"[^a-zA-Z0-9._-]", "-", socket.gethostname())
    try:
        directory.mkdir(parents=True, exist_ok=True)
        number, descriptor = _first_free(directory, _digest(group))
        instance = f"{host[:200]}-{_digest(str(directory))}-{number}"
        write(descriptor, instance.encode())
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be written to ({error.strerror}), where this process would note which member"
            f" of its group it is: set COMPORTA_DATA to a directory that can, or {VARIABLE}"
        ) from error
    _locks.append(descriptor)
    return instance


@contextmanager
def instances(group: str) -> Iterator[Instances]:
    """The ids in `group` of processes with this data directory; those that are idle stay so meanwhile."""
    found = Instances([], [])
    opened = []
    try:
        for path in sorted(_directory().glob(f"{_digest(group)}-*.lock")):
            opened.append(descriptor := open_file(path))
            ids = found.idle if lock(descriptor) else found.held
            if instance := os.pread(descriptor, 1024, 0).decode():
                ids.append(instance)
        yield found
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _directory() -> Path:
    return data_directory() / "instances"


def _first_free(directory: Path, name: str) -> tuple[int, int]:
    number = 0
    while True:
        path = directory / f"{name}-{number}.lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if lock(descriptor):
            return number, descriptor
        os.close(descriptor)
        number += 1


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
