"""The command that breaks things on purpose, run as a user would."""

from __future__ import annotations

import json
import re

import pytest
from conftest import Workplace
from real_services import RealServices

from comporta.chaos.matrix import BEGIN, END


def test_faults_are_injected_and_judged_and_a_picture_is_drawn(workplace: Workplace) -> None:
    faults = "kill-worker,kill-source,kill-store,kill-beam,kill-release,kill-command"
    what = ("--system", "embedded", "--workloads", "counting", "--faults", faults)
    how = ("--seed", 7, "--rounds", 1, "--folder", "out", "--record", "matrix.jsonl", "--format", "json")
    workplace.write("matrix.md", f"# Matrix\n{BEGIN}\n{END}\n")
    done = workplace.run("chaos", *what, *how, seconds=300)
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    last = objects[-1]
    assert (last["seed"], last["lost"], last["doubled"], last["balanced"]) == (7, 0, 0, True)
    assert last["acknowledged"] > 1000
    assert sum(map(len, last["recovery_ms"].values())) == 6
    page = (workplace.folder / "matrix.md").read_text()
    assert re.search(r"^\| `kill-beam` \| 1 \| [\d.]+ \| [\d.]+ \|$", page, re.MULTILINE)
    assert "<svg" in (workplace.folder / "out" / "counting" / "timeline.svg").read_text()
    report = json.loads((workplace.folder / "out" / "counting" / "report.json").read_text())
    assert report["holds"]
    assert [each["fault"] for each in report["injections"]] == [
        each["fault"] for each in objects if each.get("event") == "fault"
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--faults", "no-such-fault"), "'no-such-fault' is not known"),
        (("--record", "nowhere/matrix.jsonl"), "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_is_one_line_at_the_start(
    workplace: Workplace, wrong: tuple[str, str], words: str
) -> None:
    done = workplace.run("chaos", *wrong, status=2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_group_is_broken_on_real_services_and_counts_each_event_once(
    workplace: Workplace, services: RealServices
) -> None:
    faults = "kill-source,kill-store,kill-claims,kill-release,zombie-release,upgrade"
    what = ("--services", services.services.folder, "--workloads", "dedup", "--faults", faults)
    how = ("--seed", 3, "--rounds", 1, "--minutes", 8, "--folder", "out", "--format", "json")
    done = workplace.run("chaos", *what, *how, seconds=540)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["lost"], last["doubled"], last["balanced"], last["wrong"]) == (0, 0, True, [])
    assert sorted(last["recovery_ms"]) == sorted(faults.split(","))
