"""Rotation keeps every line, under the names that it gives."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from comporta.chaos.faults.rotation import Compress, Rename, Rotation, Truncate
from comporta.chaos.positions import Durable
from comporta.chaos.producer import FileProducer
from comporta.chaos.workloads.counting import Counting


class Files:
    """As much of an embedded system as rotation touches; all that was written has been read."""

    def __init__(self, folder: Path) -> None:
        self.producer = self.files = FileProducer(Counting(), folder, files=1)
        self.embedded = self

    def position(self) -> object:
        return lambda: Durable(self.producer.total, {})


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("fault", "ending"), [(Rename, ""), (Compress, ".gz"), (Truncate, "")], ids=lambda value: str(value)
)
def test_every_line_is_kept(tmp_path: Path, fault: type[Rotation], ending: str) -> None:
    system = Files(tmp_path / "logs")
    [path] = system.files.paths
    for line in (b"one\n", b"two\n"):
        path.write_bytes(line)
        before = path.stat().st_ino
        rotation = fault(random.Random(0))
        assert rotation.inject(system) == "part-0.log"  # type: ignore[arg-type]
        assert (path.stat().st_ino == before) == (fault is Truncate)
    assert contents(path.parent) == {
        "part-0.log": b"",
        f"part-0.log.1{ending}": b"two\n",
        f"part-0.log.2{ending}": b"one\n",
    }
