"""Counting again, for an audit, the records that a source still holds of what was consumed."""

from __future__ import annotations

from collections.abc import Sequence

from comporta.addresses import scheme
from comporta.errors import UsageError
from comporta.sinks import Checkpoint
from comporta.sources.content import PIECE, Content, opened
from comporta.sources.identity import Identity, Trace, resolve
from comporta.sources.listing import Listing


def recount(source: str, checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
    """Records from each checkpoint's `start` up to its `upto`, by partition, without those that are gone.

    Where a run ended within an unfinished line, and what was added to it later counted as a line of its own,
    both are one here. Raises `UsageError` for a source that cannot be read twice, `SourceError` for one that
    is not there.
    """
    if source == "-":
        raise UsageError("standard input cannot be counted again: leave --source out")
    if scheme(source) == "kafka":
        from comporta import recount_kafka  # only where it is needed: the client is large

        return recount_kafka.recount(source, checkpoints)
    listing = Listing(source)
    places = listing.places()
    files = {each.partition: each for each in checkpoints if each.partition.startswith("file-")}
    traces = {
        partition: Trace(Identity.unpack(each.meta), each.upto, each.mark)
        for partition, each in files.items()
    }
    found = resolve(traces, places)
    if not places and not found:
        listing.check(until_end=True)
    counts: dict[str, int] = {}
    for partition, place in found.items():
        with opened(place.path) as content:
            counts[partition] = _count(content, files[partition].start, files[partition].upto)
    return counts


def _count(content: Content, position: int, end: int) -> int:
    """The lines of a content between two positions, an unfinished last one included."""
    count, last = 0, b"\n"
    while position < end and (data := content.read(position, min(PIECE, end - position))):
        count += data.count(b"\n")
        position += len(data)
        last = data[-1:]
        content.release(position)
    return count + (last != b"\n")
