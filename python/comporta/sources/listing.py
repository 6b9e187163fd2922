"""Files by name: those that a glob names, and those whose names say that they may come from the same log."""

from __future__ import annotations

import glob
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from comporta.errors import SourceError, UsageError

FileId = tuple[int, int]
"""Device and inode: what the kernel knows a file by, whatever its name is. Both are used again once it is
gone.
"""


@dataclass(frozen=True)
class Place:
    """A regular file as it was found: its path, and when it was last written, renamed or linked (seconds)."""

    path: str
    id: FileId
    changed: float


class Listing:
    """The files that a URL `file:GLOB` names, relative to the current folder; `**` stands for any folders."""

    def __init__(self, url: str) -> None:
        scheme, _, self.pattern = url.partition(":")
        if scheme != "file" or not self.pattern:
            raise UsageError(
                f"{url!r} names no files; give file:GLOB, such as file:logs/*.log, or - for stdin"
            )
        self._is_literal = Path(self.pattern).exists() or not glob.has_magic(self.pattern)

    def places(self) -> list[Place]:
        """Every regular file once, however many names it has, by path."""
        if self._is_literal:
            return list(_place(self.pattern))
        paths = sorted(glob.glob(self.pattern, recursive=True))  # noqa: PTH207 - Path's takes no absolute one
        return list({place.id: place for path in reversed(paths) for place in _place(path)}.values())[::-1]

    def check(self, until_end: bool) -> None:
        """Raise `SourceError` if there is no file, and none is to be waited for."""
        if self._is_literal and Path(self.pattern).exists() and not Path(self.pattern).is_file():
            what = "a folder" if Path(self.pattern).is_dir() else "not a regular file"
            raise SourceError(
                f"{self.pattern}: this is {what}; name files, such as file:{self.pattern.rstrip('/')}/*.log"
            )
        if self._is_literal and not Path(self.pattern).exists():
            raise SourceError(f"{self.pattern}: there is no such file")
        if until_end:
            raise SourceError(f"no file matches {self.pattern}")


def siblings(path: str) -> list[Place]:
    """The files of the same folder whose names begin with the file's, as rotation names them; itself, too."""
    original = Path(path)
    try:
        found = sorted(str(each) for each in original.parent.iterdir() if each.name.startswith(original.name))
    except OSError:
        return []
    return [place for each in found for place in _place(each)]


def is_sibling(path: str, original: str) -> bool:
    """Whether `path` is one of the `siblings` of `original`, both being absolute."""
    return path.startswith(original) and "/" not in path[len(original) :]


def _place(path: str) -> Iterator[Place]:
    try:
        status = Path(path).stat()
    except OSError:  # gone meanwhile, or a link to nothing
        return
    if stat.S_ISREG(status.st_mode):
        yield Place(path, (status.st_dev, status.st_ino), status.st_ctime)
