"""The program that folds results in and makes them durable: started once per pipeline, whose sink it owns.

Requests are answered in order; a flush runs beside them, in a thread of its own, and one after another.
Whatever goes wrong ends the process: what it had in memory is worth nothing without the checkpoints, which
the next one starts from.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, NoReturn

from comporta import payloads, program
from comporta.addresses import dead_letters
from comporta.beginning import begin
from comporta.connection import Closed, Connection, Frame, ProtocolError
from comporta.definition import Definition
from comporta.errors import ComportaError, SupersededError
from comporta.fold import Fold
from comporta.forgotten import Forgotten
from comporta.generations import Generation
from comporta.metrics import from_definition
from comporta.notes import ROWS, lines
from comporta.payloads import AssignedPartition, Known, KnownPartition, Result
from comporta.profile import microseconds_since
from comporta.sinks import Checkpoint, Ledger, Sink, Snapshot, open_sink
from comporta.sinks.contract import KEPT_LONGER

logger = logging.getLogger("comporta.store")  # the module's own name is __main__

# Bytes that folds may take before rows that need not stay in memory leave it, to be read again when touched.
MOST_MEMORY = 256 << 20
# Bytes that may wait for a flush before the store starts one by itself, which waits for the one before it: so
# while the sink is away, folding stops, then demand, and memory does not grow.
MOST_UNFLUSHED = 64 << 20
OWNER_POLL = 0.2  # seconds between two looks at whether another run has let go of the pipeline
OWNER_NOTICE = 2.0  # seconds between two frames that say who holds it
EXPIRE_EVERY = 60.0  # seconds; what expires in that time is about as much as came in it
NOTES_EVERY = 10.0
# Seconds that a thread may keep the interpreter while another one waits for it. A flush gives it up at each
# statement, and would wait for Python's 5 ms each time that folding has it (bench/flushing.py).
SWITCH_EVERY = 0.0005
UNASKED = 0  # the id of a flush that the store starts by itself
LEDGER = [field.name for field in fields(Ledger)]


class Store:
    """The partitions of one generation, as the source opens them and results are folded into them."""

    def __init__(self, connection: Connection, sink: Sink, generation: Generation) -> None:
        self._connection = connection
        self._sink = sink
        self._generation = generation
        metrics = map(from_definition, generation.definition.metrics)
        self._metrics = {metric.name: metric for metric in metrics}
        self._folds: dict[str, tuple[int, Fold]] = {}
        self._forgotten = Forgotten()
        self._lock = threading.Lock()  # on the folds, and for what is sent about them
        self._flush: threading.Thread | None = None
        self._unflushed = 0
        self._notes = Notes()
        self._expire_at = 0.0

    def serve(self) -> NoReturn:
        """Answer requests until the BEAM closes the connection, which raises `Closed`."""
        while True:
            frame = self._connection.receive()
            try:
                self._answer(frame)
            except SupersededError as error:
                self._send("superseded", frame.header["id"], reason=str(error))

    def _answer(self, frame: Frame) -> None:
        header, id = frame.header, frame.header["id"]
        if frame.kind == "known":
            self._known(id)
        elif frame.kind == "open":
            self._open(id, header["assignment"], payloads.unpack(frame.payload))
        elif frame.kind == "fold":
            self._fold(header, frame.payload)
        elif frame.kind == "flush":
            self._start_flush(id)
        elif frame.kind == "close":
            self._finish_flush()
            self._folds.pop(header["partition"].decode(), None)
        elif frame.kind == "elsewhere":
            for known in self._sink.checkpoints(self._generation.id):
                self._send("elsewhere", id, partition=known.partition, upto=known.upto)
        else:
            raise ProtocolError(f"a {frame.kind} frame is not for the store")

    def _known(self, id: int) -> None:
        partitions = [
            KnownPartition(
                partition=known.partition,
                shown=known.shown,
                upto=known.upto,
                mark=known.mark,
                meta=known.meta,
            )
            for known in self._sink.checkpoints(self._generation.id)
        ]
        generation = self._generation
        known = Known(
            generation=generation.id,
            started=generation.started,
            start=generation.start,
            partitions=partitions,
            origin=generation.origin,
            generations=self._sink.generations(generation.pipeline),
        )
        self._send("known", id, payloads.pack(known))

    def _open(self, id: int, assignment: int, partitions: Sequence[AssignedPartition]) -> None:
        self._finish_flush()  # or it would take its partitions on from the checkpoints that are read here
        checkpoints = self._sink.open(self._generation.id, partitions)
        self._generation = replace(self._generation, started=True)
        for checkpoint in checkpoints:
            fold = Fold(self._sink, self._generation.id, checkpoint, self._metrics, self._forgotten)
            self._folds[checkpoint.partition] = assignment, fold
            self._send_checkpoint("opened", id, checkpoint, shown=checkpoint.shown, assignment=assignment)
        self._send("opened_all", id, assignment=assignment)

    def _fold(self, header: dict[str, Any], payload: memoryview) -> None:
        partition = header["partition"].decode()
        ledger = Ledger(**{name: header[name] for name in LEDGER})
        with self._lock:
            began = time.perf_counter()
            assignment, fold = self._folds.get(partition, (None, None))
            if fold is None or assignment != header["assignment"] or fold.position != header["first"]:
                self._send("stale", header["id"])
                return
            unflushed = fold.unflushed
            result: Result = payloads.unpack(payload)
            if header["replay"] is None:
                fold.fold(header["next"], header["mark"], ledger, result, len(payload))
            else:
                source, offset, attempt = header["replay"]
                fold.fold_replay(
                    header["next"], (source.decode(), offset, attempt), ledger, result, len(payload)
                )
            self._send("folded", header["id"], fold_us=microseconds_since(began))
        self._unflushed += fold.unflushed - unflushed
        if self._unflushed > MOST_UNFLUSHED:
            self._start_flush(UNASKED)

    def _start_flush(self, id: int) -> None:
        """Take snapshots and flush them in a thread, once the flush before is done."""
        self._finish_flush()
        folds = [fold for _, fold in self._folds.values()]
        if sum(fold.size for fold in folds) > MOST_MEMORY:
            for fold in folds:
                fold.evict()
        snapshots = [snapshot for fold in folds if (snapshot := fold.snapshot())]
        self._unflushed = 0
        self._flush = threading.Thread(target=self._run_flush, args=(id, snapshots), daemon=True)
        self._flush.start()

    def _finish_flush(self) -> None:
        if self._flush is not None:
            self._flush.join()

    def _run_flush(self, id: int, snapshots: Sequence[Snapshot]) -> None:
        began = time.perf_counter()
        try:
            outcomes = self._sink.flush(self._generation.id, snapshots)  # and see whether there was a reset
            with self._lock:
                for snapshot, decided in zip(snapshots, outcomes, strict=True):
                    self._conclude(id, snapshot, decided)
                self._notes.log()
                if id != UNASKED:
                    self._send("flushed", id, flush_us=microseconds_since(began))
            self._expire()
        except SupersededError as error:
            self._send("superseded", id, reason=str(error))
        except Closed:
            os._exit(0)
        except ComportaError as error:
            logger.error("%s", error)
            os._exit(1)
        except BaseException:  # it would end this thread alone
            traceback.print_exc()
            os._exit(1)

    def _expire(self) -> None:
        """Delete, now and then, rows whose buckets have ended longer ago than results are kept."""
        generation = self._generation
        retention = generation.definition.retention
        if retention is None or time.monotonic() < self._expire_at:
            return
        self._expire_at = time.monotonic() + EXPIRE_EVERY
        ended = int(time.time()) - retention - KEPT_LONGER
        for metric in generation.definition.metrics + generation.retired:
            if metric["every"] is not None:
                self._sink.expire(generation.id, metric["name"], ended - metric["every"])
        self._sink.expire_output_rows(generation.id, ended)

    def _conclude(self, id: int, snapshot: Snapshot, decided: bool) -> None:
        partition = snapshot.after.partition
        if decided:
            noted = self._folds[partition][1].decided(snapshot)
            self._notes.count(noted)
            self._send_checkpoint("checkpoint", id, snapshot.after, **noted)
        else:
            del self._folds[partition]
            self._send("lost", id, partition=partition)

    def _send(self, kind: str, id: int, payload: bytes = b"", **fields: Any) -> None:
        self._connection.send({"kind": kind, "id": id, **fields}, payload)

    def _send_checkpoint(self, kind: str, id: int, checkpoint: Checkpoint, **fields: Any) -> None:
        self._send(
            kind,
            id,
            partition=checkpoint.partition,
            upto=checkpoint.upto,
            **asdict(checkpoint.ledger),
            **fields,
        )


class Notes:
    """Rows that are not counted as others are, for the log: at once, then every `NOTES_EVERY` seconds."""

    def __init__(self) -> None:
        self._rows: Counter[str] = Counter()
        self._next = 0.0

    def count(self, rows: Mapping[str, int]) -> None:
        """Add what has taken effect."""
        self._rows.update(rows)

    def log(self) -> None:
        """Log what came since the last time, if it is time."""
        if self._rows.total() and time.monotonic() >= self._next:
            for line in lines(ROWS, self._rows):
                logger.warning("%s", line)
            self._rows.clear()
            self._next = time.monotonic() + NOTES_EVERY


def wait_to_own(connection: Connection, sink: Sink, pipeline: str) -> None:
    """Return when this process owns the pipeline, saying meanwhile who does."""
    notice = 0.0
    while (owner := sink.own(pipeline)) is not None:
        if time.monotonic() >= notice:
            connection.waiting(f"another run of {pipeline!r} has its store: {owner}")
            notice = time.monotonic() + OWNER_NOTICE
        time.sleep(OWNER_POLL)


def run(connection: Connection, start: dict[str, Any], payload: memoryview) -> None:
    """Own the pipeline, and serve it until the connection ends."""
    sys.setswitchinterval(SWITCH_EVERY)
    definition = Definition.from_json(bytes(payload))
    url, source, from_start = (start[name].decode() for name in ("store", "source", "start"))
    dead = dead_letters(start["dead"] and start["dead"].decode(), source, url)
    sink = open_sink(url, create=True, dead=dead, pipeline=definition.name)
    wait_to_own(connection, sink, definition.name)
    generation = begin(sink, definition, source, from_start)
    connection.ready(generation=generation.id, succeeded=generation.succeeded, dead=dead)
    Store(connection, sink, generation).serve()


if __name__ == "__main__":
    program.main(run)
