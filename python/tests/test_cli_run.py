from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from fake_release import DRAINS, IGNORES, MAIN, Workplace, until_said

from comporta.cli import display


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def test_a_run_shows_its_banner_its_ledger_and_how_many_died(workplace: Workplace) -> None:
    workplace.release("banner(); progress(); end()")
    answer = workplace.run("--until-end")
    assert answer.returncode == 0
    lines = answer.stderr.splitlines()
    assert lines[0] == "Comporta 0.1.0 on Elixir 1.14.0, OTP 25 and Python 3.11.7"
    assert "  guarantee   exactly once" in lines
    assert not any("claims" in line for line in lines)
    assert lines[-1] == "comporta: warning: 1 dead letter: see `comporta dead list pipe.py`"
    heading, counts = answer.stdout.splitlines()
    assert heading.split() == [
        "consumed",
        "counted",
        "dropped",
        "duplicates",
        "dead",
        "in_flight",
        "balanced",
    ]
    assert counts.split() == ["3", "2", "0", "0", "1", "0", "yes"]


def test_what_fails_is_one_line_and_status_1(workplace: Workplace) -> None:
    workplace.release("banner(); end(1, 'a.log: gone; put it back', dead=0)")
    answer = workplace.run()
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1] == "comporta: error: a.log: gone; put it back"


def test_nothing_to_do_is_said(workplace: Workplace) -> None:
    workplace.release("banner(); end(nothing_to_do=True)")
    answer = workplace.run("--until-end")
    assert answer.returncode == 0
    assert "nothing to do" in answer.stderr


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "by SIGKILL"),
        ("sys.exit(3)", "with status 3"),
        ("pass", "with status 0"),
    ],
)
def test_a_release_that_ends_without_a_verdict_is_an_error(workplace: Workplace, how: str, says: str) -> None:
    workplace.release(f"banner(); {how}")
    answer = workplace.run()
    assert answer.returncode == 1
    assert says in answer.stderr.splitlines()[-1]
    assert "Traceback" not in answer.stderr


def test_the_release_is_told_every_option(workplace: Workplace) -> None:
    workplace.release("json.dump(dict(os.environ), open('environment.json', 'w')); end()")
    workplace.environment |= {
        "COMPORTA_WORKERS": "7",
        "COMPORTA_START": "latest",
        "COMPORTA_STORE": "sqlite:y.db",
        "COMPORTA_BATCH_BYTES": "8KiB",
        "ELIXIR_ERL_OPTIONS": "+S 1",
        "RELEASE_NODE": "other",
        "LC_ALL": "C",
    }
    words = ["--flush-every", "1.5s", "--max-in-flight", "1MiB", "--until-end", "--store", "sqlite:x.db"]
    answer = workplace.run(*words)
    assert answer.returncode == 0
    environment = json.loads((workplace.folder / "environment.json").read_text())
    expected = {
        "COMPORTA_FILE": "pipe.py",
        "COMPORTA_SOURCE": "file:a.log",
        "COMPORTA_STORE": "sqlite:x.db",
        "COMPORTA_CLAIMS": "",
        "COMPORTA_WORKERS": "7",
        "COMPORTA_START": "latest",
        "COMPORTA_UNTIL_END": "true",
        "COMPORTA_FLUSH_EVERY": "1500ms",
        "COMPORTA_BATCH_TIMEOUT": "60000ms",
        "COMPORTA_WORKER_MEMORY": "1073741824B",
        "COMPORTA_MAX_IN_FLIGHT": "1048576B",
        "COMPORTA_DRAIN_TIMEOUT": "30000ms",
        "COMPORTA_LOG_FORMAT": "text",
        "COMPORTA_BATCH_BYTES": "8KiB",
        "ELIXIR_ERL_OPTIONS": "+S 1 -noinput +fnu",
        "RELEASE_DISTRIBUTION": "none",
        "LC_ALL": "C.UTF-8",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert "RELEASE_NODE" not in environment
    assert "COMPORTA_STDIN" not in environment


def test_standard_input_is_handed_over_by_name_and_not_to_the_beam(workplace: Workplace) -> None:
    workplace.release(
        "assert sys.stdin.read() == ''; say(open(os.environ['COMPORTA_STDIN']).read().upper()); end()"
    )
    with workplace.start("run", "pipe.py", "--source", "-", stdin=subprocess.PIPE) as process:
        _, err = process.communicate("hello\n", timeout=60)
    assert process.returncode == 0, err
    assert "HELLO" in err


def test_it_runs_in_a_session_of_its_own(workplace: Workplace) -> None:
    workplace.release("say(f'session {os.getsid(0)} of {os.getpid()}'); end()")
    match = re.search(r"session (\d+) of (\d+)", workplace.run().stderr)
    assert match
    assert match[1] == match[2]


def _run(workplace: Workplace, *words: str) -> subprocess.Popen[str]:
    process = workplace.start("run", "pipe.py", "--source", "file:a.log", *words)
    until_said(process, "ready for signals")
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(workplace: Workplace, number: signal.Signals) -> None:
    workplace.release(DRAINS)
    process = _run(workplace)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "draining" in err
    assert "drained" in err
    assert "consumed" in out
    assert err.splitlines()[-1].startswith("comporta: warning: 1 dead letter")


def test_a_signal_that_the_release_misses_as_it_starts_drains(workplace: Workplace) -> None:
    workplace.release(
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say("ready for signals")
        say(str(reports.receive().kind))
        banner()
        end()
        """
    )
    process = _run(workplace)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "drain" in err.splitlines()


def test_a_second_interrupt_kills_at_once(workplace: Workplace) -> None:
    workplace.release(IGNORES)
    process = _run(workplace)
    process.send_signal(signal.SIGINT)
    until_said(process, "not now")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "nothing is lost" in err


def test_a_second_sigterm_is_still_a_drain(workplace: Workplace) -> None:
    workplace.release(DRAINS.replace('say("drained")', 'say("draining now"); time.sleep(1); say("drained")'))
    process = _run(workplace)
    process.terminate()
    until_said(process, "draining now")
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "drained" in err


def test_a_drain_that_takes_too_long_is_ended(workplace: Workplace) -> None:
    workplace.release(IGNORES)
    process = _run(workplace, "--drain-timeout", "1ms")
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "did not stop in time" in err


def test_stopped_before_it_began(workplace: Workplace) -> None:
    workplace.release("wait()")
    process = _run(workplace)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "stopped before it had begun" in err


def test_with_json_every_line_is_an_object_whatever_happens(workplace: Workplace) -> None:
    workplace.release(
        r"""
        banner()
        reports.send(dict(kind="waiting", pipeline="p", text="another run has it"))
        say('{"time": "t", "level": "info", "message": "its own"}')
        say("[1, 2]")
        say("{not json")
        os.write(2, b"\xff\xfe no text\n")
        os.write(1, b"to stdout, without an end of line")
        end(1, "it failed")
        """
    )
    answer = workplace.run("--log-format", "json")
    assert answer.returncode == 1
    said = [json.loads(line) for line in answer.stderr.splitlines()]
    assert all(isinstance(item, dict) for item in said)
    assert {"time": "t", "level": "info", "message": "its own"} in said
    messages = [item["message"] for item in said]
    assert "\\xff\\xfe no text" in messages
    assert "to stdout, without an end of line" in messages
    assert "waiting: another run has it" in messages
    assert "it failed" in messages
    assert json.loads(answer.stdout) == {
        "consumed": 3, "counted": 2, "dropped": 0, "duplicates": 0, "dead": 1, "in_flight": 0,
        "lost_offsets": 0, "lost_claims": 0, "late": 0, "expired": 0, "without_id": 0,
        "balanced": True, "nothing_to_do": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "words", [("--log-format=json", "--workers", "none"), ("--log-format", "json", "--nonsense")]
)
def test_wrong_usage_is_json_too_where_that_is_asked_for(
    workplace: Workplace, words: tuple[str, ...]
) -> None:
    answer = workplace.run(*words)
    assert answer.returncode == 2
    assert json.loads(answer.stderr)["level"] == "error"
    assert answer.stdout == ""


def test_on_a_terminal_log_lines_do_not_tear_the_live_line(workplace: Workplace) -> None:
    workplace.release(
        "banner(); progress(); say('a line of the log'); time.sleep(1); progress(5000); end(dead=0)"
    )
    workplace.environment["TERM"] = "xterm"
    ours, theirs = pty.openpty()
    process = workplace.start("run", "pipe.py", "--source", "file:a.log", stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # what a terminal says at its end
            break
        shown += data
    os.close(ours)
    process.communicate(timeout=30)
    assert process.returncode == 0
    screen = [line.rsplit("\r\x1b[2K", 1)[-1] for line in shown.decode().split("\r\n")]
    assert "a line of the log" in screen
    assert b"5,000 records, " in shown
    assert b" | 2.0 KiB behind | 0 in flight | 1 dead letters" in shown
    assert screen[-1] == ""  # the live line is gone at the end


def test_a_status_line_now_and_then_where_there_is_no_terminal(workplace: Workplace) -> None:
    workplace.release("banner(); [(progress(n), time.sleep(0.1)) for n in range(8)]; end()")
    assert display.STATUS_EVERY == 10
    workplace.command[-1] = f"from comporta.cli import display; display.STATUS_EVERY = 0.2; {MAIN}"
    answer = workplace.run()
    lines = [line for line in answer.stderr.splitlines() if " in flight | " in line]
    assert 1 <= len(lines) <= 5


def test_losses_and_odd_rows_are_shown_where_there_are_any(workplace: Workplace) -> None:
    some = "lost_offsets=1200, lost_claims=2, late=3, without_id=4"
    workplace.release(f"banner(); progress({some}); time.sleep(0.3); progress({some}); end({some})")
    workplace.command[-1] = f"from comporta.cli import display; display.STATUS_EVERY = 0.1; {MAIN}"
    answer = workplace.run()
    assert answer.returncode == 0
    *_, status = (line for line in answer.stderr.splitlines() if " in flight | " in line)
    assert "/s | 1,200 offsets lost | 2 losses of claims | 2.0 KiB behind | " in status
    assert status.endswith(" | 3 rows late | 4 rows without id")
    warnings = [line.removeprefix("comporta: warning: ") for line in answer.stderr.splitlines()[-5:]]
    assert [" ".join(line.split()[:4]) for line in warnings] == [
        "1,200 offsets are lost:",
        "claims were seen to",
        "3 rows came later",
        "4 rows had no",
        "1 dead letter: see",
    ]


def test_with_json_losses_are_there_though_there_are_none(workplace: Workplace) -> None:
    workplace.release("banner(); progress(); time.sleep(0.3); progress(); end()")
    workplace.command[-1] = f"from comporta.cli import display; display.STATUS_EVERY = 0.1; {MAIN}"
    answer = workplace.run("--log-format", "json")
    said = [json.loads(line) for line in answer.stderr.splitlines()]
    *_, progress = (item for item in said if item["message"] == "progress")
    for report in (progress, json.loads(answer.stdout)):
        assert (report["lost_offsets"], report["lost_claims"]) == (0, 0)


def test_nobody_reading_what_it_writes_does_not_stop_it(workplace: Workplace) -> None:
    workplace.release("banner(); [say('x' * 1000) for _ in range(500)]; open('done', 'w'); end()")
    ours, theirs = os.pipe()
    os.close(ours)
    process = workplace.start("run", "pipe.py", "--source", "file:a.log", stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert process.wait(timeout=30) == 0
    assert (workplace.folder / "done").exists()


def test_the_end_of_the_command_is_seen_by_the_release(workplace: Workplace) -> None:
    workplace.release(
        "banner(); say('ready for signals'); data = os.read(int(os.environ['COMPORTA_PROGRESS_FD']), 1);"
        "open('seen', 'w').write(repr(data))"
    )
    process = _run(workplace)
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while not (workplace.folder / "seen").exists() or not (workplace.folder / "seen").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (workplace.folder / "seen").read_text() == "b''"


def test_a_release_that_is_not_there(workplace: Workplace) -> None:
    answer = workplace.run()
    assert answer.returncode == 1
    assert "COMPORTA_RELEASE" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--source", "kafka://localhost:9092"), "'' is not the name of a topic"),
        (("--source", "kafka://me:secret@localhost/logs"), "COMPORTA_KAFKA_PASSWORD_FILE"),
        (("--store", "cassandra://localhost/no-keyspace"), "'no-keyspace' is not a keyspace"),
        (("--store", "cassandra://localhost/logs"), "say where they are with --dead"),
        (("--claims", "cassandra://localhost/logs"), "is not a place for claims"),
        (("--source", "a.log"), "'a.log' is not a source"),
        (("--source", "file:"), "'file:' is not a source"),
        (("--flush-every", "soon"), "'soon' is not a duration such as"),
        (("--worker-memory", "1GB"), "'1GB' is not a size such as"),
        (("--workers", "0"), "0 is not in the range"),
        (("--start", "2015-05-17"), "only a Kafka source can begin at a time"),
        (("--start", "soon"), "'soon' is not earliest, latest or a time"),
        (("--web", "127.0.0.1:8000"), "'off'"),
        (("--dead", "sqlite:other.db"), "dead letters cannot be in 'sqlite:other.db'"),
    ],
)
def test_wrong_usage_is_said_in_words(workplace: Workplace, words: tuple[str, ...], says: str) -> None:
    answer = workplace.run(*words)
    assert answer.returncode == 2
    assert says in answer.stderr.replace("\n", " ")
    assert "Traceback" not in answer.stderr


def test_a_file_that_is_not_there(workplace: Workplace) -> None:
    answer = workplace.call("run", "missing.py:name", "--source", "-")
    assert answer.returncode == 2
    assert "there is no file 'missing.py'" in answer.stderr
