"""Bad input, bad code, bad luck: one clear line or a dead letter, and every other record counts."""

from __future__ import annotations

import gzip
import subprocess
import time
from pathlib import Path

import pytest
from conftest import EXAMPLES, Workplace, access_log, wait_until

HEAD = """import os, sys, time, ctypes, signal
import comporta as c
pipeline = c.Pipeline('faulty', metrics=[c.count('lines')])
"""


def pipeline(workplace: Workplace, body: str, name: str = "faulty.py", head: str = HEAD) -> Path:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return workplace.write(name, f"{head}@pipeline.transform\ndef parse(line):\n{lines}")


def run(workplace: Workplace, file: Path, *words: object, status: int | None = 0, **options: object):
    return workplace.run(
        "run",
        file,
        "--source",
        "file:a.log",
        "--workers",
        "2",
        "--until-end",
        *words,
        status=status,
        **options,
    )


@pytest.mark.parametrize(
    ("poison", "reason", "says"),
    [
        ("os._exit(3)", "crash", "status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crash", "SIGKILL"),
        ("ctypes.string_at(0)", "crash", "SIGSEGV"),
        ("while True: pass", "timeout", "1000 ms"),
        ("x = bytearray(400 << 20); x[::4096] = b'x' * len(x[::4096]); time.sleep(60)", "memory", "memory"),
    ],
)
def test_a_record_that_kills_its_worker_stands_alone_in_the_dead_letters(
    workplace: Workplace, poison: str, reason: str, says: str
) -> None:
    file = pipeline(workplace, f"if line in (b'37', b'70'):\n    {poison}\nreturn {{}}")
    workplace.write("a.log", "".join(f"{n}\n" for n in range(100)))
    patience = "1s" if reason == "timeout" else "20s"  # on a busy machine, memory takes its time to be filled
    run(workplace, file, "--batch-timeout", patience, "--worker-memory", "300MiB")
    assert workplace.query(file, "lines")[0]["value"] == 98
    letters = workplace.letters(file)
    assert [letter["reason"] for letter in letters] == [reason, reason]
    assert all(says in letter["error"] for letter in letters)
    shown = workplace.run("dead", "show", file, letters[0]["id"], "--format", "json").stdout
    assert "37" in shown
    whole = workplace.ledger(file, "--source", "file:a.log")
    assert (whole["consumed"], whole["counted"], whole["dead"]) == (100, 98, 2)


def test_an_exception_costs_that_record_only_and_can_be_mended_and_replayed(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {'n': 1 / (int(line) - 50)}")
    workplace.write("a.log", "".join(f"{n}\n" for n in range(100)))
    answer = run(workplace, file)
    assert "1 dead letter" in answer.stdout + answer.stderr
    [letter] = workplace.letters(file)
    assert letter["reason"] == "exception"
    assert "ZeroDivisionError" in letter["error"]
    debugged = workplace.run("dead", "debug", file, letter["id"])  # pdb reads the end of stdin, and quits
    assert "(Pdb)" in debugged.stdout
    assert letter["error"] in debugged.stderr
    shown = workplace.run("dead", "show", file, letter["id"]).stdout
    assert "Traceback" in shown
    assert "faulty.py" in shown
    pipeline(workplace, "return {}")
    for _ in range(2):
        workplace.run("dead", "replay", file, letter["id"])
        run(workplace, file)
    assert workplace.query(file, "lines")[0]["value"] == 100
    whole = workplace.ledger(file)
    assert (whole["consumed"], whole["counted"], whole["dead"]) == (100, 100, 0)


@pytest.mark.parametrize("body", ["return lien", "raise ValueError('always')", "return 'nonsense'"])
def test_a_transform_that_never_succeeds_stops_with_its_position_kept(
    workplace: Workplace, body: str
) -> None:
    file = pipeline(workplace, body)
    workplace.write("a.log", "".join(f"{n}\n" for n in range(50_000)))
    answer = run(workplace, file, status=1)
    assert "never succeeded" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(workplace.letters(file)) <= 2000
    pipeline(workplace, "return {}")
    workplace.run("dead", "replay", file, "--all")
    run(workplace, file)
    assert workplace.query(file, "lines")[0]["value"] == 50_000


def test_a_transform_that_always_kills_its_worker_stops_in_words(workplace: Workplace) -> None:
    file = pipeline(workplace, "os._exit(7)")
    workplace.write("a.log", "".join(f"{n}\n" for n in range(5_000)))
    answer = run(workplace, file, status=1)
    assert "never succeeded" in answer.stderr
    assert "status 7" in answer.stderr
    pipeline(workplace, "return {}")
    run(workplace, file)
    assert workplace.query(file, "lines")[0]["value"] == 5_000


def test_recycled_workers_lose_nothing_and_poison_nothing(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {}")
    workplace.write("a.log", "".join(f"{n}\n" for n in range(30_000)))
    environment = {"COMPORTA_WORKER_BATCHES": "3", "COMPORTA_BATCH_BYTES": "16KiB"}
    run(workplace, file, env=environment)
    assert workplace.query(file, "lines")[0]["value"] == 30_000
    assert workplace.letters(file) == []


def test_state_between_records_with_order(workplace: Workplace) -> None:
    head = HEAD.replace("metrics=", "ordered_by='partition', metrics=").replace(
        "c.count('lines')", "c.count('lines'), c.count('wrong')"
    )
    file = workplace.write(
        "ordered.py",
        head.replace("[c.count('lines'), c.count('wrong')]", "[c.count('lines', by=['order'])]")
        + "last = {}\n@pipeline.transform\ndef parse(line, record):\n"
        "    n = int(line)\n    right = n == 0 or last.get(record.partition) == n - 1\n"
        "    last[record.partition] = n\n    return {'order': right}\n",
    )
    for name in ("a-1.log", "a-2.log", "a-3.log"):
        workplace.write(name, "".join(f"{n}\n" for n in range(20_000)))
    words = ("run", file, "--source", "file:a-*.log", "--workers", "2", "--until-end")
    workplace.run(*words, env={"COMPORTA_BATCH_BYTES": "8KiB"})
    assert workplace.counts(file, "lines") == {(True,): 60_000}


def test_a_file_may_be_called_as_a_module_of_pythons_own(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {}", name="numbers.py")
    workplace.write("a.log", "1\n2\n")
    assert "Traceback" not in run(workplace, file).stderr
    assert workplace.query(file, "lines")[0]["value"] == 2


def test_odd_lines_are_records_like_others(workplace: Workplace) -> None:
    file = workplace.write(
        "odd.py",
        HEAD.replace("c.count('lines')", "c.count('lengths', by=['length'])")
        + "@pipeline.transform\ndef parse(line):\n    return {'length': len(line)}\n",
    )
    long = b"x" * (10 << 20)
    odd = [b"", b"a\0b", b"\xff\xfe", b"crlf\r", b"", long, b"no final newline"]
    workplace.write("a.log", b"\n".join(odd))
    workplace.write("empty.log", b"")
    workplace.run("run", file, "--source", "file:*.log", "--until-end", "--workers", "2")
    assert workplace.counts(file, "lengths") == {
        (0,): 2,
        (3,): 1,
        (2,): 1,
        (4,): 1,
        (len(long),): 1,
        (16,): 1,
    }


def test_a_line_too_long_for_a_frame_is_a_dead_letter_in_flat_memory(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {}")
    with (workplace.folder / "a.log").open("wb") as log:
        log.write(b"before\n")
        for _ in range(100):
            log.write(b"y" * (1 << 20))
        log.write(b"\nafter\n")
    process = workplace.start("run", file, "--source", "file:a.log", "--workers", "1", "--until-end")
    most = 0
    while process.poll() is None:
        most = max(most, *(_resident(pid) for pid in _family(process.pid)), 0)
        time.sleep(0.02)
    assert process.returncode == 0
    assert most < 400 << 20
    assert workplace.query(file, "lines")[0]["value"] == 2
    [letter] = workplace.letters(file)
    assert letter["reason"] == "oversized"
    assert letter["length"] == (100 << 20) + 1  # with its line end


def _family(pid: int) -> list[int]:
    from conftest import tree

    return list(tree(pid))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def test_lines_that_no_expression_matches(workplace: Workplace) -> None:
    lines = access_log()[:500]
    lines[100:100] = [b"no log line at all", b""]
    workplace.write("a.log", b"\n".join(lines) + b"\n")
    file = EXAMPLES / "access_log.py"
    run(workplace, file)
    whole = workplace.ledger(file)
    assert (whole["consumed"], whole["counted"], whole["dead"] + whole["dropped"]) == (502, 500, 2)


def test_out_of_order_and_late_lines_open_their_old_buckets_again(workplace: Workplace) -> None:
    file = workplace.write(
        "time.py",
        HEAD.replace("c.count('lines')", "c.count('lines', every='1m')")
        + "@pipeline.transform\ndef parse(line):\n    return {'time': int(line)}\n",
    )
    log = workplace.write("a.log", "120\n0\n60\n")
    run(workplace, file)
    with log.open("a") as more:
        more.write("61\n121\n1\n")
    run(workplace, file)
    rows = workplace.query(file, "lines")
    assert [(row["start"], row["value"]) for row in rows] == [
        ("1970-01-01T00:00:00Z", 2),
        ("1970-01-01T00:01:00Z", 2),
        ("1970-01-01T00:02:00Z", 2),
    ]


def test_a_truncated_gzip_is_read_as_far_as_it_goes_and_said(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {}")
    whole = "".join(f"line {n}\n" for n in range(20_000)).encode()
    packed = gzip.compress(whole)
    workplace.write("a.log", packed[: len(packed) // 2])
    answer = run(workplace, file, status=1)
    assert "a.log" in answer.stderr
    assert "Traceback" not in answer.stderr
    before = workplace.ledger(file)["counted"]
    assert 0 < before < 20_000
    workplace.write("a.log", packed)
    run(workplace, file)
    assert workplace.query(file, "lines")[0]["value"] == 20_000


def test_an_edit_while_it_runs_takes_effect_at_the_restart_only(workplace: Workplace) -> None:
    head = HEAD.replace("c.count('lines')", "c.count('lines', by=['version'])")
    file = pipeline(workplace, "return {'version': 1}", head=head)
    log = workplace.write("a.log", "1\n" * 100)
    process = workplace.start(
        "run",
        file,
        "--source",
        "file:a.log",
        "--flush-every",
        "100ms",
        "--workers",
        "2",
        env={"COMPORTA_WORKER_BATCHES": "1"},
    )
    wait_until(lambda: _counts(workplace, file) == {(1,): 100}, "the first lines")
    pipeline(workplace, "return {'version': 2}", head=head)
    with log.open("a") as more:
        more.write("1\n" * 100)
    wait_until(lambda: _counts(workplace, file) == {(1,): 200}, "the next lines, by the old code")
    process.terminate()
    assert process.wait(timeout=60) == 0
    with log.open("a") as more:
        more.write("1\n" * 100)
    run(workplace, file)
    assert workplace.counts(file, "lines") == {(1,): 200, (2,): 100}


def _counts(workplace: Workplace, file: Path) -> dict[tuple[object, ...], int]:
    try:
        return workplace.counts(file, "lines")
    except AssertionError:
        return {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("def broken(:\n", "bad.py:1: SyntaxError"),
        ("x = 1\n", "Pipeline"),
        ("import comporta as c\npipeline = c.Pipeline('p', metrics=[c.count('a', every='soon')])\n", "every"),
        ("import comporta as c\npipeline = c.Pipeline('p', metrics=[c.count('a'), c.count('a')])\n", "a"),
        ("import comporta as c\npipeline = c.Pipeline('p', metrics=[c.count('a')])\n", "transform"),
    ],
)
def test_a_file_that_does_not_define_a_pipeline_gets_one_line(
    workplace: Workplace, content: str, says: str
) -> None:
    file = workplace.write("bad.py", content)
    workplace.write("a.log", "1\n")
    for words in (("run", file, "--source", "file:a.log", "--until-end"), ("validate", file)):
        answer = workplace.run(*words, status=None)
        assert answer.returncode in (1, 2)
        assert "bad.py" in answer.stderr
        assert says in answer.stderr
        assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    "source", ["file:no/such/file.log", "file:no-such-*.log", "nonsense", "kafka:", "file:"]
)
def test_a_source_that_is_not_there_gets_one_line(workplace: Workplace, source: str) -> None:
    file = pipeline(workplace, "return {}")
    answer = workplace.run("run", file, "--source", source, "--until-end", status=None)
    assert answer.returncode in (1, 2)
    assert answer.stderr.strip()
    assert "Traceback" not in answer.stderr


def test_a_field_that_never_appears_is_warned_of_with_the_fields_seen(workplace: Workplace) -> None:
    head = HEAD.replace("c.count('lines')", "c.count('lines', by=['colour'])")
    file = pipeline(workplace, "return {'color': 'red'}", head=head)
    workplace.write("a.log", "1\n2\n")
    answer = run(workplace, file)
    assert "colour" in answer.stderr
    assert "color" in answer.stderr.replace("colour", "")
    assert workplace.counts(file, "lines") == {(None,): 2}


@pytest.mark.parametrize(
    "body", ["return 42", "return [1, 2]", "return {'time': 'yesterday'}", "return {3: 4}"]
)
def test_nonsense_from_a_transform_is_a_dead_letter(workplace: Workplace, body: str) -> None:
    head = HEAD.replace("c.count('lines')", "c.count('lines', every='1m')")
    file = pipeline(workplace, f"if line == b'bad':\n    {body}\nreturn {{'time': 0}}", head=head)
    workplace.write("a.log", "good\nbad\ngood\n")
    run(workplace, file)
    assert workplace.ledger(file)["counted"] == 2
    [letter] = workplace.letters(file)
    assert letter["error"]


def test_reset_processes_again_in_a_new_generation(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {}")
    workplace.write("a.log", "1\n2\n3\n")
    run(workplace, file)
    workplace.run("reset", file)
    run(workplace, file)
    assert workplace.query(file, "lines")[0]["value"] == 3
    assert workplace.ledger(file)["consumed"] == 3


def test_an_altered_metric_is_refused_until_reset(workplace: Workplace) -> None:
    file = pipeline(workplace, "return {}")
    workplace.write("a.log", "1\n2\n3\n")
    run(workplace, file)
    pipeline(workplace, "return {}", head=HEAD.replace("c.count('lines')", "c.count('lines', by=['x'])"))
    answer = run(workplace, file, status=1)
    assert "comporta reset" in answer.stderr
    workplace.run("reset", file)
    run(workplace, file)
    assert workplace.counts(file, "lines") == {(None,): 3}


def test_help_and_wrong_usage(workplace: Workplace) -> None:
    for words in ([], ["run"], ["query"], ["audit"], ["dead"], ["dead", "list"], ["reset"], ["validate"]):
        assert "Usage" in workplace.run(*words, "--help").stdout
    assert workplace.run("run", status=None).returncode == 2
    assert workplace.run("run", "x.py", "--source", "-", "--flush-every", "soon", status=None).returncode == 2


def test_a_pipe_that_closes_shows_no_traceback(workplace: Workplace) -> None:
    answer = subprocess.run(
        f"{COMMAND_LINE} query --help | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=workplace.folder,
        timeout=60,
    )
    assert "Traceback" not in answer.stderr


COMMAND_LINE = __import__("conftest").COMMAND
