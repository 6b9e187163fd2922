"""Runs over files, as a pipeline would make them: what was read is remembered, and the next run goes on from
there.
"""

from __future__ import annotations

from source_contract import LIMITS

from comporta.payloads import AssignedPartition, Known, KnownPartition
from comporta.sources import Batch, Limits, Source, open_source

NOTHING = Known(generation="g", started=False, start=None, partitions=[], origin=None, generations=None)


def open_files(
    pattern: str,
    known: Known = NOTHING,
    until_end: bool = True,
    start: str = "earliest",
    limits: Limits = LIMITS,
) -> Source:
    return open_source(f"file:{pattern}", known, start, until_end, limits)


def lines(batch: Batch) -> list[bytes]:
    """The records of a batch of lines, without their ends."""
    data = bytes(batch.payload)
    return data.split(b"\n")[: data.count(b"\n") + (not data.endswith(b"\n") and data != b"")]


class Run:
    """A run: what it has read, and what the store would remember of it, everything read being durable at
    once.
    """

    def __init__(self, pattern: str, before: Run | None = None, **options: object) -> None:
        self.partitions: dict[str, KnownPartition] = dict(before.partitions) if before else {}
        self.lines: list[bytes] = []
        self.ends: dict[str, int] = {}
        known = Known(
            generation="g",
            started=before is not None,
            start=None,
            partitions=list(self.partitions.values()),
            origin=None,
            generations=None,
        )
        self.source = open_files(pattern, known, **options)  # type: ignore[arg-type]

    def read(self, most: int = 1_000_000) -> Run:
        """Look for files, and read everything that there is now."""
        for assigned in self.source.discover():
            self._open(assigned)
        for _ in range(2):  # a source may need a second look to know that a file has ended
            while most and (batch := self.source.read()):
                most -= 1
                self._take(batch)
        self.ends.update(self.source.ends())
        return self

    def finish(self) -> list[bytes]:
        """Read to the end, as `--until-end` does, and look around until the source has nothing to say against
        it.
        """
        self.read()
        assert self.source.is_listed()
        for partition, end in self.ends.items():
            assert self.partitions[partition]["upto"] >= end
        self.source.discover()
        return self.lines

    def _open(self, assigned: AssignedPartition) -> None:
        partition = assigned["partition"]
        known = self.partitions.get(partition)
        self.partitions[partition] = KnownPartition(
            partition=partition,
            shown=assigned["shown"],
            upto=known["upto"] if known else assigned["start"],
            mark=known["mark"] if known else b"",
            meta=assigned["meta"],
        )
        self.source.seek(partition, self.partitions[partition]["upto"])

    def _take(self, batch: Batch) -> None:
        known = self.partitions[batch.partition]
        assert batch.first == known["upto"]
        assert batch.count == len(lines(batch))
        self.lines += lines(batch)
        self.partitions[batch.partition] = KnownPartition(
            partition=batch.partition,
            shown=known["shown"],
            upto=batch.next,
            mark=batch.mark,
            meta=known["meta"],
        )
        self.source.checkpoint(batch.partition, batch.next)
