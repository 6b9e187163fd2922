"""The program that claims event ids: started once per pipeline that deduplicates, it speaks to the claim store."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from comporta import payloads, program
from comporta.connection import Connection
from comporta.dedup import open_claims


def run(connection: Connection, start: dict[str, Any], payload: memoryview) -> NoReturn:
    """Answer claims until the BEAM closes the connection, which raises `Closed`."""
    within = json.loads(bytes(payload))["dedup"]["within"]
    claims = open_claims(start["claims"].decode(), start["generation"].decode(), within)
    connection.ready()
    while True:
        frame = connection.receive()
        answer = claims.claim(payloads.unpack(frame.payload))
        connection.send({"kind": "claimed", "id": frame.header["id"]}, answer)


if __name__ == "__main__":
    program.main(run)
