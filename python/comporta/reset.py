"""Counting everything again: a new generation, which begins with nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comporta import addresses
from comporta.audit import whole
from comporta.definition import Definition
from comporta.errors import StoreError
from comporta.generations import Generation
from comporta.payloads import Origin
from comporta.sinks import Sink
from comporta.sources import resolve

if TYPE_CHECKING:
    from comporta.consumer_groups import Left


def reset(
    definition: Definition, sink: Sink, start: str, origin: Origin | None = None, source: str | None = None
) -> str:
    """Make a new generation current, from `start` (`earliest`, `latest`, a time), and delete the old ones.

    `origin` is what `start` comes to, where that is known already. Returns what was done, in words. A run
    that is under way notices soon, and stops. Raises `StoreError` if another reset came in between.

    Where the sink is one host's alone, and the consumer group of the `source` was another store's that is
    gone, the group is taken over. Raises `SourceError` if it has members.
    """
    pipeline = definition.name
    left = _left(source, pipeline, sink) if source else None
    old = sink.current(pipeline)
    counted = whole(sink.checkpoints(old.id)) if old else None
    new = Generation(pipeline, definition, start=start, origin=origin)
    if not sink.install(new, instead_of=old.id if old else None):
        raise StoreError(f"{pipeline!r} was started or reset by somebody else just now; nothing was done")
    sink.forget(pipeline)
    if left and origin:
        left.take_over(origin, new.id)
    deleted = f"; what was counted of {counted.consumed} records is deleted" if counted else ""
    return f"{pipeline}: the next run starts a new generation, {new.id}, from {start}{deleted}"


def claimed_again(sink: Sink, pipeline: str, start: str, origin: Origin | None, source: str | None) -> int:
    """How many records a reset has read again, at most: each may claim an id anew. Asked before the reset.

    Of a Kafka source that is known, what it holds from `origin` on; else what was counted until now.
    """
    if origin and source:
        ends = resolve(source, "latest") or origin
        starts = origin["starts"]
        return sum(max(0, end - starts.get(name, end)) for name, end in ends["starts"].items())
    old = sink.current(pipeline)
    return whole(sink.checkpoints(old.id)).consumed if old and start != "latest" else 0


def _left(source: str, pipeline: str, sink: Sink) -> Left | None:
    """The group that reads `source`, if it is another store's until now."""
    own = sink.generations(pipeline)
    if own is None or addresses.scheme(source) != "kafka":
        return None
    from comporta import consumer_groups  # only where it is needed: aiokafka is large

    address = addresses.kafka(source)
    return consumer_groups.left(address, address.group or pipeline, own)
