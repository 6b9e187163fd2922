"""`comporta drain`, with a fake release under the runs that it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_release import DRAINS, FILE, IGNORES, Workplace, until_said

from comporta import runs
from comporta.runs import About, Note


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that nobody should signal."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    assert process.poll() is None
    process.kill()
    process.wait()


def start(workplace: Workplace, *words: str) -> subprocess.Popen[str]:
    process = workplace.start("run", "pipe.py", "--source", "file:a.log", *words)
    until_said(process, "ready for signals")
    return process


def notes(workplace: Workplace) -> list[Path]:
    return list((workplace.folder / ".comporta" / "runs").iterdir())


def test_a_run_is_drained_as_by_ctrl_c(workplace: Workplace) -> None:
    workplace.release(DRAINS)
    process = start(workplace)
    answer = workplace.call("drain", "pipe.py")
    assert answer.returncode == 0
    assert answer.stderr.splitlines() == [
        f"draining p (process {process.pid}): what has been read is finished",
        f"p (process {process.pid}) has drained",
    ]
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "draining: what has been read is finished" in err
    assert "consumed" in out
    assert notes(workplace) == []


def test_all_runs_of_the_pipeline_are_drained_and_no_others(workplace: Workplace) -> None:
    (workplace.folder / "other.py").write_text(FILE.replace('"p"', '"q"'))
    workplace.release(DRAINS)
    mine = [start(workplace) for _ in range(2)]
    assert workplace.call("drain", "other.py").returncode == 0
    assert [process.poll() for process in mine] == [None, None]
    assert workplace.call("drain", "pipe.py").returncode == 0
    assert [process.wait(30) for process in mine] == [0, 0]


def test_a_run_that_has_not_begun_is_known_by_its_file(workplace: Workplace) -> None:
    workplace.release("wait()")
    process = start(workplace)
    answer = workplace.call("drain", "pipe.py:p")
    assert f"pipe.py (process {process.pid}) has drained" in answer.stderr
    assert process.wait(30) == 0


def test_a_run_in_another_data_directory_goes_on(workplace: Workplace) -> None:
    workplace.release(DRAINS)
    process = start(workplace)
    workplace.environment["COMPORTA_DATA"] = "elsewhere"
    answer = workplace.call("drain", "pipe.py")
    assert answer.returncode == 0
    assert answer.stderr == f"nothing is running of 'p' that uses {workplace.folder / 'elsewhere'}\n"
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_a_run_that_does_not_drain_in_time_is_a_failure(workplace: Workplace) -> None:
    workplace.release(IGNORES)
    start(workplace, "--drain-timeout", "1ms")
    answer = workplace.call("drain", "pipe.py")
    assert answer.returncode == 1
    assert "has failed, as it says itself" in answer.stderr


def test_a_run_that_is_killed_meanwhile_is_a_failure(workplace: Workplace) -> None:
    workplace.release(IGNORES)
    process = start(workplace)
    drain = workplace.start("drain", "pipe.py")
    until_said(drain, "draining")
    process.kill()
    assert "was killed" in until_said(drain, "was killed")
    assert drain.wait(30) == 1


def test_the_note_of_a_run_that_was_killed_leads_to_nobody(
    workplace: Workplace, innocent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace.folder)
    note = Note(About("/pipe.py", "file:a.log", None, "p", pid=innocent.pid))
    [path] = notes(workplace)
    left = path.read_bytes()
    note.close()
    path.write_bytes(left)
    answer = workplace.call("drain", "pipe.py")
    assert answer.stderr.startswith("nothing is running of 'p'")
    assert notes(workplace) == []


def test_a_run_that_ends_at_the_last_moment_is_not_signalled(
    innocent: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPORTA_DATA", str(tmp_path))
    note = Note(About("/pipe.py", "file:a.log", None, "p", pid=innocent.pid))
    [run] = runs.running("p", "")
    note.close()
    run.drain()
    assert run.has_ended()


@pytest.mark.parametrize("elsewhere", [{"host": "other"}, {"namespace": "pid:[1]"}])
def test_a_run_whose_process_is_not_here_is_left_to_its_host(
    workplace: Workplace,
    innocent: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: dict[str, str],
) -> None:
    monkeypatch.chdir(workplace.folder)
    note = Note(About("/pipe.py", "file:a.log", None, "p", pid=innocent.pid, **elsewhere))  # type: ignore[arg-type]
    answer = workplace.call("drain", "pipe.py")
    note.close()
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].endswith("drain it where it runs")


def test_a_run_that_cannot_be_noted_says_so_and_runs(workplace: Workplace) -> None:
    workplace.release("banner(); end()")
    workplace.environment["COMPORTA_DATA"] = "/dev/null/nowhere"
    answer = workplace.run()
    assert answer.returncode == 0
    assert "`comporta drain` will not find this run: /dev/null/nowhere" in answer.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--leave",), "give --source"),
        (("--leave", "--source", "file:a.log"), "only who reads Kafka is a member of a group"),
        (("--instance", "web-1-0"), "give --leave as well"),
    ],
)
def test_leaving_needs_a_group_and_a_member(workplace: Workplace, words: tuple[str, ...], says: str) -> None:
    workplace.release(DRAINS)
    process = start(workplace) if "file:a.log" in words else None
    answer = workplace.call("drain", "pipe.py", *words)
    assert answer.returncode == 2
    assert says in answer.stderr
    assert process is None or process.poll() is None
    if process:
        process.kill()


def test_brokers_that_are_away_are_waited_for_in_words(workplace: Workplace) -> None:
    words = ("--leave", "--instance", "web-1-0", "--source", "kafka://127.0.0.1:1/logs")
    process = workplace.start("drain", "pipe.py", *words)
    until_said(process, "waiting for Kafka at 127.0.0.1:1: ")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 1
