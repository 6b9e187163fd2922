"""Where results take effect: a contract, and the sinks that meet it."""

from comporta.addresses import scheme
from comporta.errors import StoreError
from comporta.generations import Generation
from comporta.letters import letter_writer
from comporta.sinks.contract import Checkpoint, Ledger, Sink, Snapshot
from comporta.sinks.sqlite import SQLiteSink

__all__ = ["Checkpoint", "Ledger", "Sink", "Snapshot", "current_generation", "init_store", "open_sink"]


def open_sink(url: str, *, create: bool, dead: str | None = None, pipeline: str = "") -> Sink:
    """The sink that a URL names; an SQLite file that is missing is made, or raises `StoreError`.

    Letters of `pipeline` are written to the topic `dead`, if that is one, else to the SQLite file.
    """
    if scheme(url) == "cassandra":
        from comporta.sinks.cassandra import CassandraSink  # only where it is needed: the driver is large

        return CassandraSink(url, letter_writer(dead, pipeline))
    return SQLiteSink(url, create=create, letter_writer=letter_writer(dead, pipeline))


def init_store(url: str, replication: int | None) -> str:
    """Make the store that a URL names, as far as it is not there; what was done, in words.

    `replication` is how many nodes of a Cassandra keep each row.
    """
    if scheme(url) == "cassandra":
        from comporta.sinks.cassandra import init

        return init(url, replication)
    SQLiteSink(url, create=True)
    return f"{url} is ready"


def current_generation(sink: Sink, pipeline: str) -> Generation:
    """The pipeline's current generation. Raises `StoreError` if the pipeline has never run."""
    generation = sink.current(pipeline)
    if generation is None:
        raise StoreError(f"the store knows nothing of {pipeline!r}; run it first with `comporta run`")
    return generation
