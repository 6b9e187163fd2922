"""The sink in Cassandra, shared by a group of processes; `docs/cassandra.md` explains it."""

from comporta.sinks.cassandra.schema import init
from comporta.sinks.cassandra.sink import CassandraSink

__all__ = ["CassandraSink", "init"]
