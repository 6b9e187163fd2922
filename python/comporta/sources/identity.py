"""Which file a partition is: the same log is known again after rotation has renamed, copied or compressed it.

A file is known by host, device and inode, if its content agrees: it begins with the bytes that it began with
when it was seen (its first KiB, or as much as there was) and has the same KiB before the checkpoint. A file
that began with less is no worse known: the KiB before the checkpoint holds the rest. Another file is the same
log only if its content agrees and is more than nothing: under a name that begins with the file's, or under
any if it is a KiB at least.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass
from itertools import chain

from comporta import payloads
from comporta.sources.content import Content, opened
from comporta.sources.lines import FINGERPRINT, fingerprint
from comporta.sources.listing import FileId, Place, is_sibling, siblings

HOST = socket.gethostname()


@dataclass(frozen=True)
class Identity:
    """What is remembered of a file. `path` is where it was first seen; `head` the hash of its first `length`
    bytes.
    """

    host: str
    device: int
    inode: int
    path: bytes
    length: int
    head: bytes

    @property
    def id(self) -> FileId | None:
        """Device and inode, if they are of this host."""
        return (self.device, self.inode) if self.host == HOST else None

    def pack(self) -> bytes:
        """As the store keeps it."""
        return payloads.pack(asdict(self))

    @classmethod
    def unpack(cls, meta: bytes) -> Identity:
        """What the store has kept."""
        return cls(**payloads.unpack(meta))


def identify(place: Place, head: bytes, original: bytes | None = None) -> Identity:
    """The identity of a file that begins with `head` (its first KiB), first seen at `original`, else where it
    is now.
    """
    device, inode = place.id
    path = original or os.fsencode(os.path.realpath(place.path))
    return Identity(HOST, device, inode, path, len(head), fingerprint(head))


@dataclass(frozen=True)
class Trace:
    """What a partition's file is known again by: its identity, how far it was read, and the mark there, if
    known.
    """

    identity: Identity
    position: int
    mark: bytes

    def agrees(self, content: Content) -> bool:
        """Whether a content begins alike and has the same KiB before the position."""
        if fingerprint(content.read(0, self.identity.length)) != self.identity.head:
            return False
        start = max(0, self.position - FINGERPRINT)
        before = content.read(start, self.position - start)
        return start + len(before) == self.position and self.mark in (b"", fingerprint(before))

    def find_itself(self, places: Iterable[Place]) -> Place | None:
        """The same file, whatever its name is now."""
        return self._find(place for place in places if place.id == self.identity.id)

    def find_copy(self, places: Iterable[Place]) -> Place | None:
        """Another file with the same content."""
        return self._find(place for place in places if self.may_be(place))

    def may_be(self, place: Place) -> bool:
        """Whether agreeing would be enough for this file to be the same log."""
        is_named_so = is_sibling(os.path.realpath(place.path), self.original)
        return self.identity.length > 0 and (is_named_so or self.position >= FINGERPRINT)

    @property
    def original(self) -> str:
        """The path at which the file was first seen."""
        return os.fsdecode(self.identity.path)

    def _find(self, places: Iterable[Place]) -> Place | None:
        for place in places:
            try:
                with opened(place.path) as content:
                    if self.agrees(content):
                        return place
            except OSError:
                continue
        return None


def resolve(
    traces: Mapping[str, Trace], places: Iterable[Place], taken: Set[FileId] = frozenset()
) -> dict[str, Place]:
    """Where partitions' files are now: among `places` or beside where they were first seen, but for those
    `taken`.
    """
    places = list(places)
    found: dict[str, Place] = {}
    for find in (Trace.find_itself, Trace.find_copy):
        for partition, trace in traces.items():
            if partition not in found:
                held = taken | {place.id for place in found.values()}
                free = (place for place in chain(places, siblings(trace.original)) if place.id not in held)
                if place := find(trace, free):
                    found[partition] = place
    return found
