"""The program that reads the source: started once per pipeline, it sends as many batches as it was asked
for.
"""

from __future__ import annotations

import heapq
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NoReturn

from comporta import payloads, program
from comporta.addresses import dead_letters, scheme
from comporta.connection import Connection, Frame, ProtocolError
from comporta.errors import ComportaError
from comporta.etf import Atom
from comporta.letters import open_letters
from comporta.payloads import AssignedPartition, Known
from comporta.profile import microseconds_since
from comporta.sources import Limits, Source, open_source
from comporta.sources.replay import Replay

POLL = 0.05  # seconds between two looks for something to read, while something is wanted
DISCOVER_EVERY = 1.0
STALL = 1.0  # seconds that sending may take, until it is asked whether the BEAM is still there
MOST_ENDS = 1000  # in a report of the lag: as many as surely fit a header


class Reader:
    """Serves credit from several sources in turn."""

    def __init__(self, connection: Connection, sources: Iterable[Source], limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        self._sources = deque(sources)  # the one whose turn it is first
        self._owners: dict[str, Source] = {}
        self._assigned: dict[str, AssignedPartition] = {}
        self._assignments: dict[str, int] = {}
        self._heard_at = time.monotonic()
        self._draining: set[Source] = set()
        self._credit = 0
        self._discover_at = 0.0
        self._is_listed = False
        self._is_closed = False
        self._unit = self._sources[0].unit
        connection.watch_sending(STALL, self._check_silence)

    def serve(self) -> None:
        """Read until the BEAM says that it is enough, or closes the connection, which raises `Closed`."""
        while not self._is_closed:
            if time.monotonic() >= self._discover_at or any(source.has_news() for source in self._sources):
                self._discover_at = time.monotonic() + DISCOVER_EVERY
                self._discover()
            self._check_rebalance()
            has_sent = self._credit > 0 and self._send_next()
            while not self._is_closed and self._wait(0 if has_sent else POLL):
                self._heard_at = time.monotonic()
                self._answer(self._connection.receive())
                has_sent = True  # and is asked again before it waits
            self._check_patience()

    def _wait(self, seconds: float) -> bool:
        descriptors = (
            [each for source in self._sources for each in source.descriptors()] if self._credit else []
        )
        return self._connection.wait(seconds, descriptors)

    def _answer(self, frame: Frame) -> None:
        header = frame.header
        if frame.kind == "pull":
            self._credit += header["count"]
            self._limits.batch_records = header["records"]
        elif frame.kind == "pulse":
            pass  # that it came is what it says
        elif frame.kind == "seek":
            self._seek(header["partition"].decode(), header["offset"], header["assignment"])
        elif frame.kind == "checkpoint":
            partition = header["partition"].decode()
            if partition in self._assigned:
                self._owners[partition].checkpoint(partition, header["upto"])
        elif frame.kind == "announce":
            self._announce(header["partition"])
        elif frame.kind == "drained":
            for source in self._draining:
                source.drained()
            self._draining.clear()
        elif frame.kind == "close":
            self._is_closed = True
        else:
            raise ProtocolError(f"a {frame.kind} frame is not for the source")

    def _seek(self, partition: str, offset: int, assignment: int) -> None:
        if partition in self._assigned:  # and was not revoked while this came
            self._owners[partition].seek(partition, offset)
            self._assignments[partition] = assignment

    def _announce(self, partition: bytes | None) -> None:
        """Say again what is assigned: a partition, if it still is, or everything."""
        if partition is None:
            self._is_listed = False
            found = list(self._assigned.values())
        else:
            found = [each for name, each in self._assigned.items() if name == partition.decode()]
        if found:
            self._send("assigned", payloads.pack(found))

    def _check_rebalance(self) -> None:
        """Have what is in flight finished while a source may be about to lose partitions."""
        for source in self._sources:
            if not source.wants_drain():
                self._draining.discard(source)
            elif source not in self._draining:
                self._draining.add(source)
                self._send("draining")

    def _check_patience(self) -> None:
        """End this process if the BEAM seems frozen: by now others may have gone on with its partitions."""
        if not self._connection.wait(0):  # or it was this process that stood still
            self._check_silence()

    def _check_silence(self) -> None:
        silent = time.monotonic() - self._heard_at
        if silent > min(source.patience for source in self._sources):  # and would not take a line for the log
            sys.exit(f"the BEAM has been silent for {silent:.0f} s: nothing is held for it")

    def _discover(self) -> None:
        assigned = []
        for source in self._sources:
            for name in source.revoked():
                self._assigned.pop(name, None)
                self._assignments.pop(name, None)
                self._send("revoked", partition=name)
            found = source.discover()
            self._owners |= {partition["partition"]: source for partition in found}
            assigned += found
        if assigned:
            self._assigned |= {partition["partition"]: partition for partition in assigned}
            self._send("assigned", payloads.pack(assigned))
        self._send_ends()
        if not self._is_listed and all(source.is_listed() for source in self._sources):
            self._is_listed = True
            self._send("listed")
        backlog = [end for source in self._sources for end in source.backlog()]
        largest = heapq.nlargest(MOST_ENDS, backlog, key=lambda end: end[1])
        self._send("lag", unit=self._unit, ends=[[partition, offset] for partition, offset in largest])

    def _send_ends(self) -> None:
        for source in self._sources:
            for partition, offset in source.ends():
                self._send("end", partition=partition, offset=offset)

    def _send_next(self) -> bool:
        """Send a batch of the source whose turn it is, or of the next that has one. False: none has."""
        batch, began = None, time.perf_counter()
        for _ in range(len(self._sources)):
            batch = self._sources[0].read()
            self._sources.rotate(-1)
            if batch:
                break
        self._send_ends()
        if batch is None:
            return False
        self._credit -= 1
        self._send(
            "batch",
            batch.payload,
            fetch_us=microseconds_since(began),
            partition=batch.partition,
            shown=batch.shown,
            assignment=self._assignments[batch.partition],
            format=Atom(batch.format),
            base=batch.base,
            first=batch.first,
            next=batch.next,
            count=batch.count,
            mark=batch.mark,
            arrival_ms=int(time.time() * 1000),
            replay=batch.replay,
            lost=batch.lost,
        )
        return True

    def _send(self, kind: str, payload: bytes | memoryview = b"", **fields: object) -> None:
        self._connection.send({"kind": kind, **fields}, payload)


def run(connection: Connection, start: dict[str, Any], payload: memoryview) -> NoReturn:
    """Open the source, and beside it the replay log, unless it brings that itself, and read them."""
    known: Known = payloads.unpack(payload)
    until_end = bool(start["until_end"])
    limits = Limits(start["batch_bytes"], start["max_record"])
    url, store, pipeline = (start[name].decode() for name in ("source", "store", "pipeline"))
    dead = dead_letters(start["dead"] and start["dead"].decode(), url, store)
    from_start = start["start"].decode()
    sources = [open_source(url, known, from_start, until_end, limits, pipeline=pipeline, dead=dead)]
    if scheme(url) != "kafka":
        letters = open_letters(store, known["generation"], dead, pipeline)
        sources.append(Replay(letters, until_end))
    connection.ready()
    try:
        Reader(connection, sources, limits).serve()
    except ComportaError as error:
        connection.send({"kind": "failed", "reason": str(error)})
        while connection.receive().kind != "close":
            pass
    finally:
        for source in sources:
            source.close()
    connection.send({"kind": "closed"})
    while True:  # it is for the BEAM to end this process, or that would be a death
        connection.receive()


if __name__ == "__main__":
    program.main(run)
