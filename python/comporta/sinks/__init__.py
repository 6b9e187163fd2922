"""Where results take effect: a contract, and the sinks that meet it."""

from comporta.sinks.contract import Checkpoint, Ledger, Sink, Snapshot
from comporta.sinks.sqlite import SQLiteSink

__all__ = ["Checkpoint", "Ledger", "Sink", "Snapshot", "open_sink"]


def open_sink(url: str, *, create: bool) -> Sink:
    """The sink that a URL `sqlite:PATH` names; `create` makes one that is missing, else that raises `StoreError`."""
    return SQLiteSink(url, create=create)
