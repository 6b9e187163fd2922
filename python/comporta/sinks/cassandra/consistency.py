"""How many replicas must answer: a majority of all, or of one data centre that a generation names."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cassandra import ConsistencyLevel

from comporta.errors import UsageError

VARIABLE = "COMPORTA_CASSANDRA_CONSISTENCY"


@dataclass(frozen=True)
class Consistency:
    """What rows are written and read at, and what comparisons and their reads are made at.

    If it `is_local`, only replicas of the nearest data centre are asked.
    """

    rows: int
    serial: int
    is_local: bool


CHOICES = {
    "QUORUM": Consistency(ConsistencyLevel.QUORUM, ConsistencyLevel.SERIAL, is_local=False),
    "LOCAL_QUORUM": Consistency(ConsistencyLevel.LOCAL_QUORUM, ConsistencyLevel.LOCAL_SERIAL, is_local=True),
}


def consistency() -> Consistency:
    """What `COMPORTA_CASSANDRA_CONSISTENCY` says; QUORUM if it says nothing.

    Raises `UsageError` for anything with which a read might miss a write.
    """
    name = os.environ.get(VARIABLE) or "QUORUM"
    if name not in CHOICES:
        raise UsageError(
            f"{VARIABLE} is {name!r}, with which results could be lost or counted twice: it must be QUORUM,"
            " or LOCAL_QUORUM where every run is in one data centre"
        )
    return CHOICES[name]
