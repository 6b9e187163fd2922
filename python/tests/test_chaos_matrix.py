"""The matrix adds up what trials have shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from comporta.chaos import matrix
from comporta.chaos.judge import Verdict
from comporta.chaos.trial import Injection, Trial
from comporta.errors import ComportaError


def trial(seed: int, *, lost: int = 0) -> Trial:
    return Trial(
        workload="counting",
        system="embedded",
        seed=seed,
        injections=[
            Injection("kill-beam", "beam", began=1.0, healed=1.0, recovered=3.5),
            Injection("kill-store", "store", began=5.0, healed=5.5, recovered=6.0),
        ],
        verdict=Verdict(lost=lost, is_balanced=True),
    )


def test_trials_add_up(tmp_path: Path) -> None:
    file, page = tmp_path / "reliability.jsonl", tmp_path / "reliability.md"
    for seed in (1, 2, 3):
        matrix.record(file, trial(seed))
    page.write_text(f"before\n{matrix.BEGIN}\nold\n{matrix.END}\nafter\n")
    matrix.write(page, matrix.read(file))
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| `kill-beam` | 3 | 2.5 | 2.5 |" in text
    assert "6 faults injected under 3 seeds, 0 of them in trials that failed." in text


def test_a_trial_that_fails_counts_against_each_of_its_faults(tmp_path: Path) -> None:
    file = tmp_path / "reliability.jsonl"
    matrix.record(file, trial(1))
    matrix.record(file, trial(2, lost=1))
    assert "| `kill-store` | **1/2** | 0.5 | 0.5 |" in matrix.tables(matrix.read(file))


def test_what_names_a_fault_counts_against_that_one_alone(tmp_path: Path) -> None:
    file = tmp_path / "reliability.jsonl"
    named = trial(1)
    named.troubles.append("after kill-store (store) it did not recover within 90 s")
    matrix.record(file, named)
    assert "| `kill-store` | **0/1** |" in matrix.tables(matrix.read(file))
    assert "| `kill-beam` | 1 |" in matrix.tables(matrix.read(file))
    named.troubles.append("left behind by the members: beam")
    matrix.record(file, named)
    assert "| `kill-beam` | **1/2** |" in matrix.tables(matrix.read(file))


def test_a_page_without_a_place_for_it_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ComportaError, match="no place for the matrix"):
        matrix.write(page, [])
    assert page.read_text() == "nothing\n"
