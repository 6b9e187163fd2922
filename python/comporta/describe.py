"""The program that says what a FILE.py defines: started once per pipeline, before anything else."""

from __future__ import annotations

import platform
from typing import Any

from comporta import program
from comporta.connection import Connection
from comporta.loading import load


def run(connection: Connection, start: dict[str, Any], code: memoryview) -> None:
    name = start["name"]
    pipeline = load(start["file"].decode(), bytes(code), name and name.decode())
    definition = pipeline.definition()
    connection.ready(
        name=definition.name,
        hash=definition.hash(),
        ordered=definition.ordered_by is not None,
        dedup=definition.dedup is not None,
        python=platform.python_version(),
        payload=definition.to_json().encode(),
    )
    connection.receive()


if __name__ == "__main__":
    program.main(run)
