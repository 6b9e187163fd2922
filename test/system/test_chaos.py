"""The command that breaks things on purpose, run as a user would."""

from __future__ import annotations

import json
import re

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


def test_a_name_that_is_none_is_one_line(workplace: Workplace) -> None:
    done = workplace.run("chaos", "--faults", "no-such-fault", status=2)
    assert "'no-such-fault' is not known" in done.stderr
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
