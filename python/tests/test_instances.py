from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from comporta.errors import UsageError
from comporta.instances import instance_id, instances

HOLD = "from comporta.instances import instance_id; print(instance_id('group'), flush=True); input()"


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COMPORTA_INSTANCE_ID", "")


def test_instances_of_a_group_have_ids_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, other = instance_id("group"), instance_id("group"), instance_id("other")
    assert first.removesuffix("0") == second.removesuffix("1")
    assert other == first
    monkeypatch.setenv("COMPORTA_INSTANCE_ID", "one")
    assert instance_id("group") == "one"


def test_an_id_that_cannot_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_INSTANCE_ID", "web 1")
    with pytest.raises(UsageError, match="COMPORTA_INSTANCE_ID is 'web 1'"):
        instance_id("group")


def test_ids_are_known_when_their_processes_are_gone_and_free_again() -> None:
    with instances("group") as none:
        assert (none.idle, none.held) == ([], [])
    mine = instance_id("group")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        other = process.stdout.readline().strip()
        with instances("group") as both:
            assert (both.idle, both.held) == ([], [mine, other])
        process.kill()
    with instances("group") as one:
        assert (one.idle, one.held) == ([other], [mine])
        assert instance_id("group") not in (mine, other)  # for now
    assert instance_id("group") == other
    with instances("another") as none:
        assert (none.idle, none.held) == ([], [])
