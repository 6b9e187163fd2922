"""Where results take effect: a contract, and the sinks that meet it."""

from comporta.errors import StoreError
from comporta.generations import Generation
from comporta.sinks.contract import Checkpoint, Ledger, Sink, Snapshot
from comporta.sinks.sqlite import SQLiteSink

__all__ = ["Checkpoint", "Ledger", "Sink", "Snapshot", "current_generation", "open_sink"]


def open_sink(url: str, *, create: bool, dead: str | None = None, pipeline: str = "") -> Sink:
    """The sink that a URL names; an SQLite file that is missing is made, or raises `StoreError`.

    Letters of `pipeline` are written to the topic `dead`, if that is one, else to the SQLite file.
    """
    return SQLiteSink(url, create=create)


def current_generation(sink: Sink, pipeline: str) -> Generation:
    """The pipeline's current generation. Raises `StoreError` if the pipeline has never run."""
    generation = sink.current(pipeline)
    if generation is None:
        raise StoreError(f"the store knows nothing of {pipeline!r}; run it first with `comporta run`")
    return generation
