"""Mistakes that somebody might make in the exactly-once protocol, each as a change to a copy of the code.

They are those that matter most: `comporta chaos` must find every one of them, or it is not sharp enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SINK = "sinks/cassandra/sink.py"


@dataclass(frozen=True)
class Mistake:
    """In a file of the package, `changes` has what becomes what; `faults` and `workload` are to show it.

    With `own`, those faults need services that each trial has brought up for itself.
    """

    name: str
    what: str
    workload: str
    faults: str
    file: str
    changes: tuple[tuple[str, str], ...]
    own: bool = False

    def plant(self, package: Path) -> None:
        """Make it in a copy of the package. Raises `ValueError` where the code is not as it was."""
        path = package / self.file
        text = path.read_text()
        for right, wrong in self.changes:
            if text.count(right) != 1:
                raise ValueError(f"{self.name}: {self.file} has changed: plant it anew")
            text = text.replace(right, wrong)
        path.write_text(text)


MISTAKES = [
    Mistake(
        name="committed-first",
        what="the offset is committed before what was flushed is durable",
        workload="counting",
        faults="kill-store,kill-release",
        file=SINK,
        changes=(
            (
                "decide(generation, snapshot.before, decided)",
                "decide(generation, snapshot.before, Decided(after, 0, applied=None))",
            ),
        ),
    ),
    Mistake(
        name="applied-first",
        what="rows are applied before their flush is decided",
        workload="counting",
        faults="kill-store,kill-release",
        file=SINK,
        changes=(
            (
                """        decided = Decided(after, count, applied=None)
""",
                """        decided = Decided(after, count, applied=None)
        facts = self._generations.facts(generation, metrics=set(snapshot.rows))
        self._rows.write(generation, facts, after.partition, after.upto, snapshot.rows)
""",
            ),
        ),
    ),
    Mistake(
        name="not-applied-again",
        what="the last decided flush is not applied again by a new owner",
        workload="counting",
        faults="kill-store,kill-release",
        file=SINK,
        changes=(
            (
                """        while not decided.is_applied:
            data =""",
                """        while False:
            data =""",
            ),
        ),
    ),
    Mistake(
        name="no-timestamp",
        what="rows are written with the time of day instead of the offset that they reach",
        workload="late",  # whose rows are soon left alone: what is written again mends itself
        faults="zombie-flush",
        file="sinks/cassandra/rows.py",
        changes=(
            (
                """        timestamp = _bigint(upto)
""",
                """        timestamp = _bigint(time.time_ns() // 1000)
""",
            ),
        ),
        own=True,
    ),
    Mistake(
        name="middle-of-a-batch",
        what="a snapshot is taken in the middle of a batch: it holds more than the offset says",
        workload="counting",
        faults="kill-store,kill-release",
        file="fold.py",
        changes=(
            (
                """        for name, columns in result["metrics"].items():
            self._held[name].fold""",
                """        self._before = self.position, self.ledger
        for name, columns in result["metrics"].items():
            self._held[name].fold""",
            ),
            (
                """        after = replace(
            self._decided, upto=self.position, flush=secrets.token_hex(8), mark=self._mark, ledger=self.ledger
        )
""",
                """        upto, ledger = self.position, self.ledger
        if secrets.randbelow(5) == 0 and self._before[0] > self._decided.upto:
            upto, ledger = self._before
        after = replace(
            self._decided, upto=upto, flush=secrets.token_hex(8), mark=self._mark, ledger=ledger
        )
""",
            ),
        ),
    ),
    Mistake(
        name="claim-without-position",
        what="a claim is of an id alone: a record that comes again is its own duplicate",
        workload="dedup",
        faults="kill-worker,kill-store,kill-release",
        file="dedup/redis.py",
        changes=(
            (
                """        answers = np.zeros(len(claims), np.uint8)
""",
                """        answers = np.zeros(len(claims), np.uint8)
        self._asked = getattr(self, "_asked", 0) + 1
        claims = [(id, f"{partition} {hash(self)} {self._asked}", offset) for id, partition, offset in claims]
""",
            ),
        ),
    ),
]
