"""The program that runs the transform: one for each worker, and any may be killed at any instant."""

from __future__ import annotations

import gc
import time
from typing import Any, NoReturn, cast

from comporta import payloads, program
from comporta.computation import Computation
from comporta.connection import Connection, Frame, ProtocolError
from comporta.errors import DefinitionError, Hopeless
from comporta.etf import Atom
from comporta.loading import load, local_modules_hash
from comporta.memory import resident
from comporta.note import opened
from comporta.payloads import Claim
from comporta.profile import microseconds_since
from comporta.records import Batch


class Worker:
    """Answers batches, one after another, with what they come to."""

    def __init__(self, connection: Connection, computation: Computation) -> None:
        self._connection = connection
        self._computation = computation
        self._claim_us = 0

    def serve(self) -> NoReturn:
        """Work until the BEAM closes the connection, which raises `Closed`."""
        while True:
            frame = self._connection.receive()
            if frame.kind != "batch":
                raise ProtocolError(f"a {frame.kind} frame is not for a worker")
            self._work(frame)

    def _work(self, frame: Frame) -> None:
        id = frame.header["id"]

        def tell(count: int, middle: int | None) -> None:
            self._connection.send({"kind": "outline", "id": id, "count": count, "middle": middle})

        before, began = resident(), time.perf_counter()
        # Said before each step: if it kills this process, the BEAM knows which it was, and how to halve it.
        decoded = self._computation.decode(batch(frame.header), frame.payload, tell)
        self._connection.send(
            {
                "kind": "decoded",
                "id": id,
                "count": decoded.count,
                "middle": decoded.middle,
                "before": before,
                "memory": resident(),
                "notes": self._computation.notes,
            }
        )
        decode_us = microseconds_since(began)
        note = opened(frame.header["note"])
        began, self._claim_us = time.perf_counter(), 0
        try:
            outcome = self._computation.run(decoded, lambda claims: self._claim(id, claims), note)
        except Hopeless as error:
            self._connection.send({"kind": "hopeless", "id": id, "reason": str(error)})
            return
        finally:
            if note is not None:
                note.close()
        result = payloads.pack(outcome.result)
        header = {
            "kind": "result",
            "id": id,
            "consumed": outcome.consumed,
            "counted": outcome.counted,
            "dropped": outcome.dropped,
            "duplicates": outcome.duplicates,
            "dead": outcome.dead,
            "decode_us": decode_us,
            "transform_us": outcome.transform_us,
            "claim_us": self._claim_us,
            "sum_us": microseconds_since(began) - outcome.transform_us - self._claim_us,
        }
        self._connection.send(header, result)
        for text in self._computation.warnings():
            self._connection.log("warning", text)

    def _claim(self, id: int, claims: list[Claim]) -> bytes:
        began = time.perf_counter()
        call = {"kind": "call", "id": id, "to": Atom("claims")}
        answer = bytes(self._connection.request(call, payloads.pack(claims)).payload)
        self._claim_us = microseconds_since(began)
        return answer


def batch(header: dict[str, Any]) -> Batch:
    """A batch as its header gives it."""
    replay = header["replay"]
    return Batch(
        format=cast(Any, str(header["format"])),
        partition=header["partition"].decode(),
        shown=header["shown"].decode(),
        base=header["base"],
        first=header["first"],
        next=header["next"],
        arrival_ms=header["arrival_ms"],
        probation=header["probation"],
        replay=replay and (replay[0].decode(), replay[1], replay[2]),
        reason=header["reason"] and header["reason"].decode(),
        verdict=header["verdict"] and header["verdict"].decode(),
    )


def run(connection: Connection, start: dict[str, Any], code: memoryview) -> NoReturn:
    """Load the pipeline and answer batches."""
    path, name = start["file"].decode(), start["name"]
    pipeline = load(path, bytes(code), name and name.decode())
    if pipeline.definition().hash() != start["hash"].decode():
        raise DefinitionError(
            f"{path}: it defines another pipeline each time it is loaded;"
            " metrics, names and options must be constants"
        )
    computation = Computation(pipeline)
    connection.ready(modules=local_modules_hash(path))
    # What was imported stays for good: looking through it again and again would only cost time.
    gc.collect()
    gc.freeze()
    Worker(connection, computation).serve()


if __name__ == "__main__":
    program.main(run)
