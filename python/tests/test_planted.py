"""Every mistake that is kept for the chaos suite to find can still be planted in the code as it is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from comporta.chaos import catalogue

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "test" / "planted"))

from mistakes import MISTAKES, Mistake  # noqa: E402


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_can_be_planted_and_compiles(mistake: Mistake, tmp_path: Path) -> None:
    path = tmp_path / mistake.file
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "python" / "comporta" / mistake.file, path)
    before = path.read_text()
    mistake.plant(tmp_path)
    assert path.read_text() != before
    compile(path.read_text(), str(path), "exec")
    catalogue.chosen([mistake.workload], catalogue.all_workloads(), "cluster")
    catalogue.chosen(mistake.faults.split(","), catalogue.all_faults(), "cluster")
