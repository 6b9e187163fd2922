"""Only what a log says from some time on is heard."""

from __future__ import annotations

from pathlib import Path

from comporta.chaos.logs import Logs


def test_what_was_said_before_does_not_count(tmp_path: Path) -> None:
    old = tmp_path / "member-1.log"
    old.write_text("the disk is full\n")
    logs = Logs(tmp_path)
    assert not logs.wait_for("full", 0.0)
    with old.open("a") as log:
        log.write("it is full again\n")
    assert logs.wait_for("full", 0.0)


def test_a_log_that_comes_later_is_heard_from_its_beginning(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    (tmp_path / "member-2.log").write_text("the disk is full\n")
    assert logs.wait_for("full", 0.0)
