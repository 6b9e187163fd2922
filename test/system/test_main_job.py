"""The main job on the real log: exact totals, a balanced ledger, nothing to do the second time."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections import Counter
from itertools import accumulate

import pytest
from conftest import COMMAND, EXAMPLES, Workplace, access_log, json_lines, statuses, wait_until

FILE = EXAMPLES / "access_log.py"
SOURCE = f"file:{EXAMPLES / 'access.log'}"


def test_the_real_log_is_counted_exactly(workplace: Workplace) -> None:
    lines = access_log()
    answer = workplace.run("run", FILE, "--source", SOURCE, "--until-end")
    assert "10,000" in answer.stdout or "10000" in answer.stdout
    assert workplace.counts(FILE, "requests") == statuses(lines)
    sizes = [line.split()[9] for line in lines]
    assert [row["value"] for row in workplace.query(FILE, "bytes")] == [
        sum(int(s) for s in sizes if s != b"-")
    ]
    visitors = len({line.split()[0] for line in lines})
    rows = workplace.query(FILE, "visitors")
    by_day = {row["start"][:10]: row["value"] for row in rows if row["start"]}
    if by_day:
        for day, number in by_day.items():
            expected = len(
                {line.split()[0] for line in lines if f"[{int(day[8:])}/May/2015" in line.decode()}
            )
            assert number == pytest.approx(expected, rel=0.05)
    else:
        assert rows[0]["value"] == pytest.approx(visitors, rel=0.05)
    pages = Counter(line.split()[6].decode() for line in lines)
    top = [(item["item"], item["estimate"]) for item in workplace.query(FILE, "pages")[0]["value"]]
    assert dict(top[:5]) == {page: pages[page] for page, _ in top[:5]}
    assert [count for _, count in top[:5]] == [count for _, count in pages.most_common(5)]
    whole = workplace.ledger(FILE, "--source", SOURCE)
    assert (whole["consumed"], whole["counted"], whole["dead"], whole["in_flight"]) == (10_000, 10_000, 0, 0)


def test_a_finished_run_has_nothing_to_do(workplace: Workplace) -> None:
    workplace.run("run", FILE, "--source", SOURCE, "--until-end")
    again = workplace.run("run", FILE, "--source", SOURCE, "--until-end")
    assert "nothing to do" in (again.stdout + again.stderr).lower()
    assert workplace.ledger(FILE)["consumed"] == 10_000


def test_record_and_batch_transforms_agree_on_one_and_on_two_workers(workplace: Workplace) -> None:
    batch = EXAMPLES / "access_log_arrow.py"
    answers = []
    for number, (file, workers) in enumerate([(FILE, 1), (FILE, 2), (batch, 1), (batch, 2)]):
        store = f"sqlite:{workplace.folder}/{number}.db"
        workplace.run("run", file, "--source", SOURCE, "--store", store, "--workers", workers, "--until-end")
        answers.append(
            (
                workplace.counts(file, "requests", "--store", store),
                workplace.query(file, "bytes", "--store", store),
            )
        )
    assert all(answer == answers[0] for answer in answers)


def test_stdin(workplace: Workplace) -> None:
    answer = subprocess.run(
        f"cat {EXAMPLES / 'access.log'} | {COMMAND} run {FILE} --source -",
        shell=True,
        cwd=workplace.folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    assert "cannot be read again" in answer.stdout + answer.stderr
    assert workplace.counts(FILE, "requests") == statuses(access_log())


def test_many_files_plain_and_compressed(workplace: Workplace) -> None:
    lines = access_log()
    for number in range(4):
        part = b"\n".join(lines[number::4]) + (b"\n" if number % 2 else b"")
        name = f"part-{number}.log"
        workplace.write(name, part if number < 2 else gzip.compress(part))
    workplace.run("run", FILE, "--source", "file:part-*.log", "--until-end")
    assert workplace.counts(FILE, "requests") == statuses(lines)
    assert len(workplace.audit(FILE, "--source", "file:part-*.log")) >= 5


def test_a_file_is_followed_as_it_grows_and_rotates(workplace: Workplace) -> None:
    lines = access_log()
    log = workplace.write("access.log", b"\n".join(lines[:3000]) + b"\n")
    run = workplace.start("run", FILE, "--source", "file:access.log", "--flush-every", "200ms")

    def counted() -> int:
        return (
            sum(workplace.counts(FILE, "requests").values())
            if (workplace.folder / ".comporta").exists()
            else 0
        )

    wait_until(lambda: run.poll() is None and _quiet(counted) == 3000, "the first 3,000 lines")
    with log.open("ab") as file:
        file.write(b"\n".join(lines[3000:6000]) + b"\n")
    wait_until(lambda: counted() == 6000, "the lines that were appended")
    log.rename(workplace.folder / "access.log.1")
    workplace.write("access.log", b"\n".join(lines[6000:]) + b"\n")
    wait_until(lambda: counted() == 10_000, "the new file of the old name")
    run.terminate()
    assert run.wait(timeout=60) == 0
    assert workplace.counts(FILE, "requests") == statuses(lines)
    assert workplace.ledger(FILE)["consumed"] == 10_000


def _quiet(counted):  # the store's tables may not be there yet
    try:
        return counted()
    except AssertionError:
        return 0


def test_a_file_renamed_while_the_pipeline_was_down_goes_on_where_it_was(workplace: Workplace) -> None:
    lines = access_log()
    log = workplace.write("access.log", b"\n".join(lines[:5000]) + b"\n")
    workplace.run("run", FILE, "--source", "file:access.log", "--until-end")
    with log.open("ab") as file:
        file.write(b"\n".join(lines[5000:7000]) + b"\n")
    log.rename(workplace.folder / "access.log.1")
    workplace.write("access.log", b"\n".join(lines[7000:]) + b"\n")
    workplace.run("run", FILE, "--source", "file:access.log", "--until-end")
    assert workplace.counts(FILE, "requests") == statuses(lines)
    assert workplace.ledger(FILE)["consumed"] == 10_000


def test_two_files_that_begin_alike_are_two(workplace: Workplace) -> None:
    lines = access_log()[:2000]
    workplace.write("a.log", b"\n".join(lines) + b"\n")
    workplace.write("b.log", b"\n".join(lines) + b"\n")
    workplace.run("run", FILE, "--source", "file:*.log", "--until-end")
    assert workplace.ledger(FILE)["counted"] == 4000


def test_two_pipelines_at_once(workplace: Workplace) -> None:
    other = workplace.folder / "other.py"
    other.write_text(FILE.read_text().replace('"access-log"', '"other"'))
    runs = [workplace.start("run", file, "--source", SOURCE, "--until-end") for file in (FILE, other)]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, out + err
    assert workplace.counts(FILE, "requests") == workplace.counts(other, "requests") == statuses(access_log())


def test_a_second_run_of_one_pipeline_waits_and_says_for_whom(workplace: Workplace) -> None:
    first = workplace.start("run", FILE, "--source", SOURCE)
    wait_until(lambda: (workplace.folder / ".comporta").exists(), "the first run's store")
    wait_until(
        lambda: _quiet(lambda: sum(workplace.counts(FILE, "requests").values())) == 10_000,
        "the first run's counts",
    )
    second = workplace.start("run", FILE, "--source", SOURCE, "--until-end")
    said = []
    wait_until(
        lambda: said.append(second.stderr.readline()) or "another run" in said[-1], "the second run says so"
    )
    assert second.poll() is None
    first.terminate()
    assert first.wait(timeout=60) == 0
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, out + err
    assert workplace.ledger(FILE)["consumed"] == 10_000


def test_json_stays_json_whatever_the_transform_prints(workplace: Workplace) -> None:
    file = workplace.write(
        "noisy.py",
        "import os, sys\n"
        "import comporta as c\n"
        'pipeline = c.Pipeline("noisy", metrics=[c.count("lines")])\n'
        "@pipeline.transform\n"
        "def parse(line):\n"
        '    print("a \\"quoted\\" line", "\\0")\n'
        '    os.write(1, b"\\xff\\xfe not text\\n")\n'
        '    print("{not json", file=sys.stderr)\n'
        "    return {}\n",
    )
    workplace.write("a.log", b"one\ntwo\n")
    answer = workplace.run("run", file, "--source", "file:a.log", "--until-end", "--log-format", "json")
    for line in answer.stdout.splitlines() + answer.stderr.splitlines():
        assert isinstance(json.loads(line), dict)
    assert "quoted" in answer.stderr
    assert workplace.query(file, "lines")[0]["value"] == 2


def test_deduplication_counts_an_id_once_across_runs(workplace: Workplace) -> None:
    file = EXAMPLES / "json_events.py"
    events = [
        json.dumps({"id": f"e{n % 700}", "time": "2026-01-01T00:00:00Z", "type": "view", "ms": n % 700})
        for n in range(1500)
    ]
    plain = workplace.write(
        "dedup.py",
        "import json\n"
        "import comporta as c\n"
        'pipeline = c.Pipeline("dedup", dedup=c.by_id("id", within="24h"),\n'
        '    metrics=[c.count("events"), c.sum("ms", of="ms")])\n'
        "@pipeline.transform\n"
        "def parse(line):\n"
        "    return json.loads(line)\n",
    )
    log = workplace.write("events.log", "\n".join(events[:1000]) + "\n")
    workplace.run("run", plain, "--source", "file:events.log", "--until-end", "--workers", "2")
    with log.open("a") as more:
        more.write("\n".join(events[1000:]) + "\n")
    workplace.run("run", plain, "--source", "file:events.log", "--until-end", "--workers", "2")
    assert workplace.query(plain, "events")[0]["value"] == 700
    assert workplace.query(plain, "ms")[0]["value"] == sum(range(700))
    whole = workplace.ledger(plain)
    assert (whole["consumed"], whole["counted"], whole["duplicates"]) == (1500, 700, 800)
    assert file.exists()


def test_rows_are_kept_at_the_place_of_their_record(workplace: Workplace) -> None:
    file = workplace.write(
        "words.py",
        "import comporta as c\n"
        'pipeline = c.Pipeline("words", metrics=[c.count("words")], rows=["word", "place"])\n'
        "@pipeline.transform\n"
        "def parse(line):\n"
        "    words = line.decode().split()\n"
        '    return [{"word": word, "place": place, "of": len(words)} for place, word in enumerate(words)]\n',
    )
    lines = [" ".join(f"word-{number}-{place}" for place in range(number % 4)) for number in range(3000)]
    text = b"\xff\n" + "\n".join(lines).encode()
    workplace.write("words.log", text)
    workplace.run("run", file, "--source", "file:words.log", "--until-end", "--workers", "2")
    *begins, _ = accumulate((len(line) + 1 for line in lines), initial=2)
    found = workplace.rows(file, "--partition", "words.log")
    assert len({row.pop("partition") for row in found}) == 1
    assert found == [
        {"offset": begin, "index": index, "row": {"word": word, "place": index}}
        for begin, line in zip(begins, lines, strict=True)
        for index, word in enumerate(line.split())
    ]
    assert workplace.ledger(file)["dead"] == 1
    assert workplace.query(file, "words")[0]["value"] == len(found)


def test_the_release_runs_without_the_command(workplace: Workplace) -> None:
    import os
    import sys

    from conftest import ROOT

    log = workplace.folder / "access.log"
    shutil.copy(EXAMPLES / "access.log", log)
    environment = os.environ | {
        "COMPORTA_PYTHON": sys.executable,
        "COMPORTA_FILE": str(FILE),
        "COMPORTA_SOURCE": f"file:{log}",
        "COMPORTA_UNTIL_END": "true",
    }
    release = subprocess.run(
        [ROOT / "_build/prod/rel/comporta/bin/comporta", "start"],
        cwd=workplace.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert release.returncode == 0, release.stderr
    assert workplace.counts(FILE, "requests") == statuses(access_log())
    assert json_lines(workplace.run("audit", FILE, "--format", "json").stdout)[-1]["consumed"] == 10_000


def test_a_profile_says_where_the_time_goes(workplace: Workplace) -> None:
    words = ("run", FILE, "--source", SOURCE, "--until-end", "--workers", 1)
    text = workplace.run(*words, "--profile").stderr
    assert "where the time went" in text
    assert "nothing to do" not in text
    workplace.run("reset", FILE)
    events = json_lines(workplace.run(*words, "--profile", "--log-format", "json").stderr)
    [profile] = [event for event in events if event["message"] == "profile"]
    steps = {step["step"]: step for step in profile["steps"]}
    assert all(steps[name]["seconds"] > 0 for name in steps if name not in ("claim", "idle"))
    of_workers = [step["share"] for step in profile["steps"] if step["process"] == "workers"]
    assert sum(of_workers) == pytest.approx(1, abs=0.01)
    assert profile["batches"] >= 1


SLOW = """
import time
import comporta as c
pipeline = c.Pipeline("slow", metrics=[c.count("lines")])
@pipeline.transform
def parse(line):
    time.sleep(0.0005)
    return {}
"""


def test_batches_of_a_slow_transform_are_small(workplace: Workplace) -> None:
    (workplace.folder / "slow.py").write_text(SLOW)
    (workplace.folder / "a.log").write_bytes(b"a line\n" * 9_000)
    words = ("run", "slow.py", "--source", "file:a.log", "--until-end", "--workers", 2)
    events = json_lines(workplace.run(*words, "--profile", "--log-format", "json").stderr)
    [profile] = [event for event in events if event["message"] == "profile"]
    assert profile["batches"] > 9_000 / 1_000 + 5
