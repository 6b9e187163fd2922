"""Counting everything again: a new generation, which begins with nothing."""

from __future__ import annotations

from comporta.audit import whole
from comporta.definition import Definition
from comporta.errors import StoreError
from comporta.generations import Generation
from comporta.payloads import Origin
from comporta.sinks import Sink


def reset(definition: Definition, sink: Sink, start: str, origin: Origin | None = None) -> str:
    """Make a new generation current, from `start` (`earliest`, `latest`, a time), and delete the old ones.

    `origin` is what `start` comes to, where that is known already. Returns what was done, in words. A run
    that is under way notices soon, and stops. Raises `StoreError` if another reset came in between.
    """
    pipeline = definition.name
    old = sink.current(pipeline)
    counted = whole(sink.checkpoints(old.id)) if old else None
    new = Generation(pipeline, definition, start=start, origin=origin)
    if not sink.install(new, instead_of=old.id if old else None):
        raise StoreError(f"{pipeline!r} was started or reset by somebody else just now; nothing was done")
    sink.forget(pipeline)
    deleted = f"; what was counted of {counted.consumed} records is deleted" if counted else ""
    return f"{pipeline}: the next run starts a new generation, {new.id}, from {start}{deleted}"
