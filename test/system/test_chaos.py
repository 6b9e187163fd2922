"""The command that breaks things on purpose, run as a user would."""

from __future__ import annotations

import json
import re

from conftest import Workplace

from comporta.chaos.matrix import BEGIN, END


def test_faults_are_injected_and_judged_and_a_picture_is_drawn(workplace: Workplace) -> None:
    faults = "kill-worker,kill-source,kill-store,kill-beam,kill-release,kill-command"
    words = (
        "--system",
        "embedded",
        "--workloads",
        "counting",
        "--faults",
        faults,
        "--seed",
        7,
        "--rounds",
        1,
    )
    workplace.write("matrix.md", f"# Matrix\n{BEGIN}\n{END}\n")
    done = workplace.run("chaos", *words, "--folder", "out", "--record", "matrix.jsonl", "--format", "json")
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
