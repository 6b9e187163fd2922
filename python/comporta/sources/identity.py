"""Which file is which: the same log again when it was renamed, copied or compressed, and another one when it
is not.

A file is known by host, device and inode, and by fingerprints of its content: its first KiB, as far as there
was one when the file was first seen, and the KiB before the checkpoint. A head shorter than a KiB says
little, and nothing needs it to say more: with every checkpoint the other fingerprint grows instead.
"""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from comporta import payloads
from comporta.errors import SourceError
from comporta.sources.content import Content, Gzip, TruncatedError, open_content
from comporta.sources.lines import FINGERPRINT, fingerprint


@dataclass(frozen=True)
class Identity:
    """What is remembered of a file; `head` is the fingerprint of its first `head_length` bytes,
    decompressed."""

    host: str
    device: int
    inode: int
    path: str
    head_length: int
    head: bytes

    def pack(self) -> bytes:
        """The bytes that the store keeps."""
        return payloads.pack(asdict(self))

    @classmethod
    def unpack(cls, meta: bytes) -> Identity:
        """What `pack` packed."""
        return cls(**payloads.unpack(meta))


def identify(path: Path) -> Identity:
    """The identity of a file as it is now. Raises `SourceError` where it cannot be read."""
    content = open_content(path)
    try:
        stat = content.stat()
        head = _head(content, FINGERPRINT)
        return Identity(
            socket.gethostname(), stat.st_dev, stat.st_ino, str(path), len(head), fingerprint(head)
        )
    finally:
        content.close()


def holds(path: Path, identity: Identity, upto: int, mark: bytes) -> bool:
    """Whether the file's content is that of `identity`, as far as fingerprints tell: its head, and `mark`
    before `upto`."""
    try:
        content = open_content(path)
    except SourceError:
        return False
    try:
        head = _head(content, identity.head_length)
        if len(head) < identity.head_length or fingerprint(head) != identity.head:
            return False
        if not mark or upto == 0:
            return True
        end = content.end()
        if end is not None and end < upto:
            return False
        before = content.seek(upto)
        return content.position == upto and fingerprint(before) == mark
    except SourceError:
        return False
    finally:
        content.close()


def compressed(path: Path) -> bool:
    """Whether a file is gzip."""
    try:
        content = open_content(path)
    except SourceError:
        return False
    content.close()
    return isinstance(content, Gzip)


def siblings(path: Path) -> list[Path]:
    """The files beside `path` whose names begin with its name, as rotation makes them."""
    try:
        return sorted(
            other
            for other in path.parent.iterdir()
            if other != path and other.name.startswith(path.name) and other.is_file()
        )
    except OSError:
        return []


def _head(content: Content, length: int) -> bytes:
    content.seek(0)
    head = b""
    try:
        while len(head) < length and (data := content.read(length - len(head))):
            head += data
    except TruncatedError:  # there may be more of it later
        pass
    return head
