"""The program that speaks to the claim store: started once per pipeline that deduplicates."""

from __future__ import annotations

from typing import Any, NoReturn

from comporta import payloads, program
from comporta.connection import Connection, ProtocolError
from comporta.dedup import open_claims
from comporta.definition import Definition


def run(connection: Connection, start: dict[str, Any], payload: memoryview) -> NoReturn:
    """Answer claims until the BEAM closes the connection, which raises `Closed`."""
    dedup = Definition.from_json(bytes(payload)).dedup
    if dedup is None:
        raise ProtocolError("a pipeline without deduplication needs no claims")
    claims = open_claims(start["claims"].decode(), start["generation"].decode(), dedup["within"])
    connection.ready()
    while True:
        frame = connection.receive()
        before = claims.losses
        answer = claims.claim(payloads.unpack(frame.payload))
        lost = claims.losses - before
        connection.send({"kind": "claimed", "id": frame.header["id"], "lost": lost}, answer)


if __name__ == "__main__":
    program.main(run)
