"""The program that reads the source: started once per pipeline, it sends what it was asked for and no
more."""

from __future__ import annotations

import time
from itertools import cycle
from typing import Any, NoReturn

from comporta import payloads, program
from comporta.connection import Connection, Frame, ProtocolError
from comporta.errors import SourceError
from comporta.etf import Atom
from comporta.letters import open_letters
from comporta.payloads import Known
from comporta.sources import Source, SourceBatch, open_source
from comporta.sources.replay import Replay

IDLE = 0.05  # seconds between two looks for new data, when there was none
DISCOVER_EVERY = 1.0
ENDS_PER_FRAME = 500  # as many as surely fit a header


class Reader:
    """Serves credit from several sources in turn."""

    def __init__(self, connection: Connection, sources: list[Source]) -> None:
        self._connection = connection
        self._sources = sources
        self._turns = cycle(sources)
        self._owners: dict[str, Source] = {}
        self._credit = 0
        self._discover_at = 0.0

    def serve(self) -> NoReturn:
        """Read until the BEAM closes the connection, which raises `Closed`."""
        self._discover()
        self._connection.send({"kind": "listed"})
        while True:
            sent = self._credit > 0 and self._send_next()
            while self._connection.wait(0 if sent else IDLE):
                self._answer(self._connection.receive())
                sent = True
            if time.monotonic() >= self._discover_at:
                self._discover()

    def _answer(self, frame: Frame) -> None:
        header = frame.header
        if frame.kind == "pull":
            self._credit += header["count"]
        elif frame.kind == "seek":
            partition = header["partition"].decode()
            self._owners[partition].seek(partition, header["assignment"], header["offset"])
        elif frame.kind != "checkpoint":
            raise ProtocolError(f"a {frame.kind} frame is not for the source")

    def _send_next(self) -> bool:
        for _ in self._sources:
            source = next(self._turns)
            batch = source.read()
            for partition, offset in source.reached():
                self._connection.send({"kind": "end", "partition": partition, "offset": offset})
            if batch:
                self._credit -= 1
                self._send(batch)
                return True
        return False

    def _send(self, batch: SourceBatch) -> None:
        header = {
            "kind": "batch",
            "partition": batch.partition,
            "shown": batch.shown,
            "assignment": batch.assignment,
            "format": Atom(batch.format),
            "base": batch.first,
            "first": batch.first,
            "next": batch.next,
            "count": batch.count,
            "mark": batch.mark,
            "arrival_ms": int(time.time() * 1000),
            "replay": batch.replay and list(batch.replay),
        }
        self._connection.send(header, batch.payload)

    def _discover(self) -> None:
        self._discover_at = time.monotonic() + DISCOVER_EVERY
        assigned = []
        for source in self._sources:
            found = source.discover()
            self._owners |= {partition["partition"]: source for partition in found}
            assigned += found
        if assigned:
            self._connection.send({"kind": "assigned"}, payloads.pack(assigned))
        for source in self._sources:
            for partition, offset in source.reached():
                self._connection.send({"kind": "end", "partition": partition, "offset": offset})
        main = self._sources[0]
        ends = [[partition, offset] for partition, offset in main.ends()]
        for begin in range(0, len(ends), ENDS_PER_FRAME):
            self._connection.send(
                {"kind": "lag", "unit": main.unit, "ends": ends[begin : begin + ENDS_PER_FRAME]}
            )


def run(connection: Connection, start: dict[str, Any], payload: memoryview) -> NoReturn:
    """Open the sources and read them."""
    known: Known = payloads.unpack(payload)
    until_end = bool(start["until_end"])
    begin = known["start"] or start["start"].decode()
    source = open_source(
        start["source"].decode(), known, begin, until_end, start["batch_bytes"], start["max_record"]
    )
    letters = open_letters(start["store"].decode(), known["generation"])
    connection.ready()
    try:
        Reader(connection, [source, Replay(letters, until_end)]).serve()
    except SourceError as error:
        connection.send({"kind": "failed", "reason": str(error)})
        while True:
            connection.receive()


if __name__ == "__main__":
    program.main(run)
