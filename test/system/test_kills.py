"""Killed at random and started again, totals are those of an undisturbed run, and nothing is left behind."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Workplace, json_lines, kill, kill_tree, processes, role, tree, wait_until
from transforms import IDS, changing, check_changing

STEADY = """
import time
import comporta as c
pipeline = c.Pipeline("steady", metrics=[c.count("lines", by=["last"]), c.sum("numbers", of="number")])
@pipeline.transform
def parse(line):
    number = int(line)
    if number % 100 == 0:
        time.sleep(0.01)
    return {"last": number % 10, "number": number}
"""
SPINNING = """
import comporta as c
pipeline = c.Pipeline("spin", metrics=[c.count("lines")])
@pipeline.transform
def parse(line):
"""
SMALL = {"COMPORTA_BATCH_BYTES": "4KiB"}
LINES = 12_000


def numbers(workplace: Workplace, files: int = 3) -> None:
    for part in range(files):
        text = "".join(f"{number}\n" for number in range(part, LINES, files))
        workplace.write(f"numbers-{part}.log", text)


def start(workplace: Workplace, file: Path) -> subprocess.Popen[str]:
    words = (
        "run",
        file,
        "--source",
        "file:numbers-*.log",
        "--workers",
        "2",
        "--flush-every",
        "100ms",
        "--until-end",
    )
    return workplace.start(*words, env=SMALL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def disturb(workplace: Workplace, file: Path, seed: int, victims: list[str], most: int) -> int:
    """Run until the end, killing on the way; how many kills there were."""
    rnd = random.Random(seed)
    kills = 0
    deadline = time.monotonic() + 150
    run = start(workplace, file)
    while time.monotonic() < deadline:
        try:
            status = run.wait(timeout=rnd.uniform(0.3, 1.5) if kills < most else 60)
            if status == 0:
                return kills
            run = start(workplace, file)
            continue
        except subprocess.TimeoutExpired:
            pass
        victim = rnd.choice(victims)
        family = tree(run.pid)
        beam = next((pid for pid, line in family.items() if role(line) == "beam"), None)
        if victim == "all":
            kill_tree(run.pid)
        elif victim == "command":
            kill(run.pid)
        else:
            chosen = [pid for pid, line in family.items() if role(line) == victim]
            if chosen:
                kill(rnd.choice(chosen))
        kills += 1
        if victim in ("beam", "all") and beam:
            gone(set(family) - {run.pid})
        if victim == "command":
            run.wait()
            gone(set(family), seconds=30)
    pytest.fail("the run never came to its end")


def gone(pids: set[int], seconds: float = 2.0) -> None:
    def left() -> dict[int, str]:
        return {pid: line for pid, line in processes().items() if pid in pids}

    wait_until(lambda: not left(), lambda: f"these are gone: {left()}", seconds)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "victims", [["beam"], ["command", "all"], ["worker"], ["source", "store", "worker"]], ids="-".join
)
def test_kills_change_nothing(workplace: Workplace, seed: int, victims: list[str]) -> None:
    file = workplace.write("steady.py", STEADY)
    numbers(workplace)
    assert disturb(workplace, file, seed, victims, most=6) > 0
    assert workplace.counts(file, "lines") == {(last,): LINES // 10 for last in range(10)}
    assert workplace.query(file, "numbers")[0]["value"] == sum(range(LINES))
    whole = workplace.ledger(file, "--source", "file:numbers-*.log")
    assert (whole["consumed"], whole["counted"], whole["dead"]) == (LINES, LINES, 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_transform_that_answers_differently_every_time(workplace: Workplace, seed: int) -> None:
    file = workplace.write("changing.py", changing(failing=0.001))
    numbers(workplace)
    disturb(workplace, file, seed, ["beam", "worker", "store", "source", "claims", "all"], most=6)
    whole = workplace.ledger(file)
    dead = len(workplace.letters(file))
    assert (whole["consumed"], whole["dead"]) == (LINES, dead)
    counted = workplace.query(file, "lines")[0]["value"]
    assert counted == whole["counted"] == sum(workplace.counts(file, "faces").values())
    # Of two lines with one id one is counted, unless one of them died.
    assert whole["counted"] + whole["duplicates"] == LINES - dead
    assert IDS - dead <= counted <= IDS
    # Mended, replayed twice across a kill: every number is there exactly once.
    file.write_text(changing(version=1))
    workplace.run("dead", "replay", file, "--all")
    run = start(workplace, file)
    time.sleep(random.Random(seed).uniform(0.5, 2.5))
    kill_tree(run.pid)
    run.wait()
    workplace.run("dead", "replay", file, "--all")
    assert start(workplace, file).wait(timeout=60) == 0
    check_changing(workplace, file)
    whole = workplace.ledger(file)
    ended = (whole["consumed"], whole["counted"], whole["duplicates"], whole["dead"])
    assert ended == (LINES, IDS, LINES - IDS, 0)


@pytest.mark.parametrize(
    "spin",
    [
        "while True: pass",
        "import re; re.match('(a*)*b', 'a' * 60)",
        "import ctypes; ctypes.PyDLL(None).sleep(600)",
    ],
)
def test_nothing_is_left_two_seconds_after_the_beam_dies(workplace: Workplace, spin: str) -> None:
    file = workplace.write("spin.py", SPINNING + f"    {spin}\n")
    workplace.write("a.log", "one\ntwo\n")
    run = workplace.start("run", file, "--source", "file:a.log", "--workers", "2")
    wait_until(lambda: _with(run.pid, "worker"), "the workers are there")
    time.sleep(1.0)
    family = tree(run.pid)
    kill(next(pid for pid, line in family.items() if role(line) == "beam"))
    gone({pid for pid, line in family.items() if role(line)})
    assert run.wait(timeout=30) == 1


def _with(pid: int, part: str) -> dict[int, str]:
    """The family of a run, once such a part is in it."""
    family = tree(pid)
    return family if part in map(role, family.values()) else {}


def _counted(workplace: Workplace, file: Path) -> int:
    audit = workplace.run("audit", file, "--format", "json", status=None)
    return json_lines(audit.stdout)[-1]["counted"] if audit.returncode == 0 else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains(workplace: Workplace, number: int) -> None:
    file = workplace.write("steady.py", STEADY)
    numbers(workplace)
    words = ("run", file, "--source", "file:numbers-*.log", "--workers", "2", "--flush-every", "100ms")
    run = workplace.start(*words, env=SMALL)
    wait_until(lambda: _counted(workplace, file), "something is counted")
    family = tree(run.pid)
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, out + err
    assert "fail" not in err
    gone(set(family))
    assert workplace.ledger(file)["in_flight"] == 0
    assert start(workplace, file).wait(timeout=90) == 0
    assert workplace.query(file, "numbers")[0]["value"] == sum(range(LINES))


@pytest.mark.parametrize("part", ["beam", "describe", "store", "worker"])
def test_a_signal_that_comes_as_parts_start_is_not_missed(workplace: Workplace, part: str) -> None:
    # Describing takes long enough to be seen.
    file = workplace.write("steady.py", f"import time\ntime.sleep(0.3)\n{STEADY}")
    numbers(workplace)
    run = workplace.start("run", file, "--source", "file:numbers-*.log")
    wait_until(lambda: _with(run.pid, part), f"there is a {part}")
    run.terminate()
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert "error" not in err


@pytest.mark.parametrize("part", ["beam", "describe", "store", "worker"])
def test_nothing_is_left_of_a_run_whose_command_dies_as_parts_start(workplace: Workplace, part: str) -> None:
    file = workplace.write("steady.py", f"import time\ntime.sleep(0.3)\n{STEADY}")
    numbers(workplace)
    run = start(workplace, file)
    family = wait_until(lambda: _with(run.pid, part), f"there is a {part}")
    kill(run.pid)
    run.wait()
    gone(set(family), seconds=30)


def test_nothing_is_left_of_a_run_whose_command_dies_with_unread_progress(workplace: Workplace) -> None:
    file = workplace.write("steady.py", STEADY)
    numbers(workplace)
    words = ("run", file, "--source", "file:numbers-*.log")
    run = workplace.start(*words, env=SMALL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: _counted(workplace, file), "something is counted")
    family = tree(run.pid)
    kill(run.pid, signal.SIGSTOP)
    time.sleep(1.0)  # in which the BEAM says how it goes, four times
    kill(run.pid)
    run.wait()
    gone(set(family), seconds=30)
    assert workplace.ledger(file)["in_flight"] == 0


def test_a_beam_that_cannot_stop_halts_once_its_command_is_gone(workplace: Workplace) -> None:
    stuck = "fun() -> process_flag(trap_exit, true), timer:sleep(infinity) end"
    child = "#{id => stuck, start => {erlang, apply, [fun() -> {ok, spawn_link(" + stuck + ")} end, []]},"
    child += " restart => temporary, shutdown => infinity, type => supervisor}"
    file = workplace.write("steady.py", STEADY)
    numbers(workplace)
    run = workplace.start(
        *("run", file, "--source", "file:numbers-*.log", "--drain-timeout", "1s"),
        env=SMALL | {"ERL_AFLAGS": f"-eval 'supervisor:start_child(kernel_safe_sup, {child}).'"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: _counted(workplace, file), "something is counted")
    family = tree(run.pid)
    programs = {pid for pid, line in family.items() if role(line) in ("source", "worker", "store")}
    kill(run.pid)
    run.wait()
    gone(programs, seconds=5)
    assert "beam" in [role(line) for pid, (_, line) in processes().items() if pid in family]
    gone(set(family), seconds=30)


def test_a_second_interrupt_stops_at_once_and_loses_nothing(workplace: Workplace) -> None:
    slow = STEADY.replace("sleep(0.01)", "sleep(3)")
    file = workplace.write("steady.py", slow)
    numbers(workplace)
    run = workplace.start("run", file, "--source", "file:numbers-*.log", "--workers", "2", env=SMALL)
    wait_until(lambda: _with(run.pid, "worker"), "the workers are there")
    time.sleep(1.0)
    family = tree(run.pid)
    run.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    run.wait(timeout=10)
    gone(set(family))
    file.write_text(STEADY)
    assert start(workplace, file).wait(timeout=90) == 0
    assert workplace.query(file, "numbers")[0]["value"] == sum(range(LINES))


def test_the_status_line_is_json_when_asked(workplace: Workplace) -> None:
    file = workplace.write("steady.py", STEADY)
    numbers(workplace)
    answer = workplace.run(
        "run", file, "--source", "file:numbers-*.log", "--until-end", "--log-format", "json", env=SMALL
    )
    objects = [json.loads(line) for line in answer.stdout.splitlines() + answer.stderr.splitlines()]
    assert any(item.get("counted") == LINES for item in objects)
