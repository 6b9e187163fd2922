"""The command that breaks things on purpose, run as a user would."""

from __future__ import annotations

import json

from conftest import Workplace


def test_faults_are_injected_and_judged_and_a_picture_is_drawn(workplace: Workplace) -> None:
    words = ("--system", "embedded", "--workloads", "counting", "--seed", 7, "--most", 6)
    done = workplace.run("chaos", *words, "--folder", "out", "--format", "json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    last = objects[-1]
    assert (last["seed"], last["lost"], last["doubled"], last["balanced"]) == (7, 0, 0, True)
    assert last["acknowledged"] > 1000
    assert sum(map(len, last["recovery_ms"].values())) == 6
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
