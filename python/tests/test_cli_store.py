"""The commands that read and change a store: query, rows, audit, dead, reset."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from steps import assigned, cells_of, step

from comporta.cli import main, output
from comporta.cli.query import flat
from comporta.computation import Computation
from comporta.formats import decode
from comporta.generations import Generation
from comporta.loading import load
from comporta.query import Answer as Answered
from comporta.records import Batch
from comporta.sinks import Ledger, open_sink

FILE = """
import json
import comporta as c
print("printed while loading")
pipeline = c.Pipeline("web", metrics=[
    c.count("requests", by=["status", "page"]), c.count("hits", every="1m"), c.quantiles("latency", of="ms"),
    c.top("pages", of="page", k=2), c.count("nothing", by="status")], rows=["status", "page", "ms"])
@pipeline.transform
def parse(line):
    return json.loads(line) or None
"""

LINES = [
    {"time": 0, "status": 200, "page": "/a", "ms": 1.5},
    {"time": 59, "status": 200, "page": "/b\x1b[2J", "ms": 2.5},
    {"time": 60, "status": 404, "page": "/a", "ms": 3.5},
    {},
]


class Answer(NamedTuple):
    status: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Call = Callable[..., Answer]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call the command in a folder with `web.py` in it."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("COMPORTA_"):
            monkeypatch.delenv(name)
    Path("web.py").write_text(FILE)

    def call(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["comporta", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return Answer(end.value.code, *capfd.readouterr())

    return call


@pytest.fixture
def store(call: Call) -> str:
    """A store in which the lines were counted, and one of them is a dead letter. Returns its URL."""
    url = "sqlite:.comporta/web.db"
    payload = b"".join(json.dumps(line).encode() + b"\n" for line in LINES) + b"not \xff JSON\n"
    with contextlib.redirect_stdout(io.StringIO()):
        pipeline = load("web.py")
    batch = Batch("lines", "file-1", "a.log", base=0, first=0, next=len(payload), arrival_ms=0)
    outcome = Computation(pipeline).run(decode(batch, payload), lambda claims: b"")
    rows = {
        name: dict(zip(cells_of(columns), columns["deltas"], strict=True))
        for name, columns in outcome.result["metrics"].items()
    }
    sink = open_sink(url, create=True)
    generation = Generation("web", pipeline.definition())
    sink.install(generation, instead_of=None)
    [start] = sink.open(generation.id, [assigned("file-1", shown="a.log")])
    ledger = Ledger(outcome.consumed, outcome.counted, outcome.dropped, outcome.duplicates, outcome.dead)
    assert outcome.result["output"]
    snapshot = step(
        start,
        len(payload),
        rows,
        letters=outcome.result["letters"],
        ledger=ledger,
        output=[outcome.result["output"]],
    )
    assert sink.flush(generation.id, [snapshot]) == [True]
    return url


@pytest.mark.usefixtures("store")
class TestQuery:
    def test_json_is_an_object_a_line_and_nothing_else(self, call: Call) -> None:
        answer = call("query", "web.py", "requests", "--format", "json")
        assert answer.status == 0
        assert answer.objects() == [
            {
                "metric": "requests",
                "start": None,
                "end": None,
                "group": {"status": status, "page": page},
                "value": 1,
            }
            for status, page in [(200, "/a"), (200, "/b\x1b[2J"), (404, "/a")]
        ]
        assert "printed while loading" in answer.err

    def test_a_table_for_people(self, call: Call) -> None:
        answer = call("query", "web.py", "requests", "--by", "status")
        assert answer.out.splitlines() == ["status  value", "200         2", "404         1"]

    def test_what_would_move_the_cursor_is_escaped(self, call: Call) -> None:
        answer = call("query", "web.py", "requests", "--by", "page")
        assert "\x1b" not in answer.out
        assert r"/b\x1b[2J" in answer.out

    def test_csv(self, call: Call) -> None:
        answer = call("query", "web.py", "hits", "--format", "csv")
        assert list(csv.reader(io.StringIO(answer.out))) == [
            ["start", "end", "value"],
            ["1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z", "2"],
            ["1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z", "1"],
        ]

    def test_a_field_that_is_called_as_another_column_keeps_its_own(self) -> None:
        answer: Answered = {
            "metric": "hits",
            "start": "1970-01-01T00:00:00Z",
            "end": "1970-01-01T00:01:00Z",
            "group": {"start": "a", "value": "b", "page": "/"},
            "value": 3,
        }
        [row] = flat(answer)
        assert (row["start"], row["value"], row["page"]) == ("1970-01-01T00:00:00Z", 3, "/")
        assert (row["group.start"], row["group.value"]) == ("a", "b")

    def test_buckets_between_two_times(self, call: Call) -> None:
        answer = call("query", "web.py", "hits", "--format", "json", "--since", "1970-01-01T00:01:00Z")
        assert [item["value"] for item in answer.objects()] == [1]
        answer = call("query", "web.py", "hits", "--format", "json", "--until", "60")
        assert [item["value"] for item in answer.objects()] == [2]

    def test_quantiles_are_columns_and_their_error_is_stated(self, call: Call) -> None:
        lines = call("query", "web.py", "latency").out.splitlines()
        assert "0.5" in lines[0].split()
        assert "2.5" in lines[1].split()
        assert "exact up to" in lines[2]

    def test_top_items_are_rows(self, call: Call) -> None:
        lines = call("query", "web.py", "pages").out.splitlines()
        assert lines[0].split() == ["item", "estimate", "lower", "upper"]
        assert lines[1].split() == ["/a", "2", "2", "2"]

    def test_a_metric_that_is_not_there(self, call: Call) -> None:
        answer = call("query", "web.py", "visits")
        assert answer.status == 2
        assert "it has requests, hits" in answer.err

    def test_a_time_that_is_none(self, call: Call) -> None:
        answer = call("query", "web.py", "hits", "--since", "yesterday")
        assert answer.status == 2
        assert "'yesterday' is not a time" in answer.err

    def test_a_reader_that_has_seen_enough(self) -> None:
        ours, theirs = os.pipe()
        os.close(ours)
        process = outside(theirs, "query", "web.py", "requests")
        assert process.returncode == 0
        assert "Traceback" not in process.stderr

    def test_a_full_disk_is_said_in_a_line(self) -> None:
        process = outside(os.open("/dev/full", os.O_WRONLY), "query", "web.py", "requests")
        assert process.returncode == 1
        assert process.stderr.splitlines()[-1].endswith(
            "cannot be written to stdout: No space left on device"
        )
        assert "Traceback" not in process.stderr

    def test_a_table_on_a_terminal_is_boxed(self) -> None:
        ours, theirs = pty.openpty()
        process = outside(theirs, "query", "web.py", "hits")
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        assert process.returncode == 0
        assert "│     2 │" in shown


@pytest.mark.usefixtures("store")
class TestRows:
    OFFSETS = [0, *itertools.accumulate(len(json.dumps(line)) + 1 for line in LINES)][:3]

    def test_json_is_an_object_a_line_in_the_order_of_the_log(self, call: Call) -> None:
        answer = call("rows", "web.py", "--format", "json")
        assert answer.status == 0
        assert answer.objects() == [
            {
                "partition": "file-1",
                "offset": offset,
                "index": 0,
                "row": {field: line[field] for field in ("status", "page", "ms")},
            }
            for offset, line in zip(self.OFFSETS, LINES[:3], strict=True)
        ]

    def test_a_table_for_people(self, call: Call) -> None:
        lines = call("rows", "web.py").out.splitlines()
        assert lines[0].split() == ["partition", "offset", "index", "status", "page", "ms"]
        assert lines[1].split() == ["a.log", "0", "0", "200", "/a", "1.5"]
        assert lines[2].split() == ["a.log", str(self.OFFSETS[1]), "0", "200", r"/b\x1b[2J", "2.5"]
        assert len(lines) == 4

    def test_csv(self, call: Call) -> None:
        found = list(csv.reader(io.StringIO(call("rows", "web.py", "--format", "csv").out)))
        assert found[0] == ["partition", "offset", "index", "status", "page", "ms"]
        assert found[3] == ["file-1", str(self.OFFSETS[2]), "0", "404", "/a", "3.5"]

    def test_at_most_so_many(self, call: Call) -> None:
        answer = call("rows", "web.py", "--format", "json", "--limit", "2")
        assert [item["offset"] for item in answer.objects()] == self.OFFSETS[:2]
        assert call("rows", "web.py", "--limit", "0").status == 2

    @pytest.mark.parametrize("name", ["a.log", "file-1"])
    def test_those_of_one_partition(self, call: Call, name: str) -> None:
        assert len(call("rows", "web.py", "--format", "json", "--partition", name).objects()) == 3

    def test_a_partition_that_is_not_there(self, call: Call) -> None:
        answer = call("rows", "web.py", "--partition", "b.log")
        assert answer.status == 2
        assert "there is no partition 'b.log'; there are a.log" in answer.err

    def test_columns_are_those_that_the_file_names_now(self, call: Call) -> None:
        Path("web.py").write_text(FILE.replace('rows=["status", "page", "ms"]', 'rows=["host", "status"]'))
        lines = call("rows", "web.py").out.splitlines()
        assert lines[0].split() == ["partition", "offset", "index", "host", "status"]
        assert lines[1].split() == ["a.log", "0", "0", "-", "200"]
        assert call("rows", "web.py", "--format", "json").objects()[0]["row"]["page"] == "/a"

    def test_a_pipeline_that_keeps_none(self, call: Call) -> None:
        Path("web.py").write_text(FILE.replace(', rows=["status", "page", "ms"]', ""))
        answer = call("rows", "web.py")
        assert answer.status == 2
        assert answer.err.endswith(
            'web.py keeps no rows; name the fields to keep, such as rows=["time", "status"]\n'
        )

    def test_nothing_was_kept_yet(self, call: Call) -> None:
        call("reset", "web.py")
        answer = call("rows", "web.py")
        assert (answer.status, answer.out) == (0, "")
        assert "no rows were kept" in answer.err


def test_a_table_of_any_length_is_laid_out_in_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    written: list[str] = []

    def rows() -> Iterator[list[output.Value]]:
        for number in range(output.BLOCK + 2):
            if number == output.BLOCK:
                written.extend(capsys.readouterr().out.splitlines())
            yield [number, "x"]

    output.write_table(["n", "text"], rows())
    assert len(written) == output.BLOCK + 1
    assert written[:2] == ["  n  text", "  0  x"]
    assert capsys.readouterr().out.splitlines() == ["1,000  x", "1,001  x"]


def outside(stdout: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the command in a process of its own, and close `stdout`."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-c", "from comporta.cli import main; main()", *words]
    process = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, env=environment, text=True, timeout=60
    )
    os.close(stdout)
    return process


def test_a_store_that_is_not_there(call: Call) -> None:
    for words in (
        ["query", "web.py", "hits"],
        ["rows", "web.py"],
        ["audit", "web.py"],
        ["dead", "list", "web.py"],
        ["reset", "web.py"],
    ):
        answer = call(*words)
        assert answer.status == 1
        assert "there is no store here" in answer.err
        assert "Traceback" not in answer.err


def test_a_pipeline_that_is_not_valid(call: Call) -> None:
    Path("bad.py").write_text("import comporta as c\npipeline = c.Pipeline('bad', metrics=[])\n")
    answer = call("query", "bad.py", "hits")
    assert answer.status == 1
    assert answer.err.startswith("comporta: error: bad.py:2: ")


def test_a_bug_is_called_one_and_shows_its_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(sys.modules["comporta.cli.options"], "open_store", broken)
    answer = call("query", "web.py", "hits")
    assert answer.status == 1
    assert "this is a bug in Comporta" in answer.err
    assert "Traceback" in answer.err


@pytest.mark.usefixtures("store")
class TestAudit:
    def test_json_is_a_line_a_partition_and_one_for_the_whole(self, call: Call) -> None:
        answer = call("audit", "web.py", "--format", "json")
        assert answer.status == 0
        ended = {"consumed": 5, "counted": 3, "dropped": 1, "duplicates": 0, "dead": 1}
        ledger = {**ended, "in_flight": 0, "balanced": True}
        assert answer.objects() == [{"partition": "a.log", **ledger}, {"partition": None, **ledger}]

    def test_a_table(self, call: Call) -> None:
        lines = call("audit", "web.py").out.splitlines()
        assert lines[1].split() == ["a.log", "5", "3", "1", "0", "1", "0", "yes"]
        assert lines[2].split() == ["all", "5", "3", "1", "0", "1", "0", "yes"]

    def test_what_does_not_balance_is_said_and_is_status_1(self, call: Call, store: str) -> None:
        sink = open_sink(store, create=False)
        generation = sink.current("web")
        assert generation
        [checkpoint] = sink.checkpoints(generation.id)
        sink.flush(
            generation.id, [step(checkpoint, checkpoint.upto + 1, ledger=Ledger(consumed=2, counted=1))]
        )
        answer = call("audit", "web.py", "--format", "json")
        assert answer.status == 1
        assert [item["balanced"] for item in answer.objects()] == [False, False]
        assert "does not balance" in answer.err


@pytest.mark.usefixtures("store")
class TestDead:
    def test_list(self, call: Call) -> None:
        [letter] = call("dead", "list", "web.py", "--format", "json").objects()
        assert letter["reason"] == "exception"
        assert letter["shown"] == "a.log"
        assert "UnicodeDecodeError" in letter["error"]
        assert letter["replayed"] is False
        assert letter["id"] in call("dead", "list", "web.py").out

    def test_show(self, call: Call) -> None:
        [listed] = call("dead", "list", "web.py", "--format", "json").objects()
        [letter] = call("dead", "show", "web.py", listed["id"], "--format", "json").objects()
        assert letter["value"] == {"base64": "bm90IP8gSlNPTg=="}
        assert "Traceback" in letter["traceback"]
        shown = call("dead", "show", "web.py", listed["id"]).out
        assert "Traceback" in shown
        assert listed["id"] in shown

    def test_replay(self, call: Call) -> None:
        [letter] = call("dead", "list", "web.py", "--format", "json").objects()
        assert call("dead", "replay", "web.py", letter["id"], "--format", "json").objects() == [
            {"id": letter["id"]}
        ]
        assert call("dead", "replay", "web.py", "--all").status == 0

    @pytest.mark.parametrize("words", [[], ["file-1:0:0", "--all"]])
    def test_replay_needs_ids_or_all(self, call: Call, words: list[str]) -> None:
        answer = call("dead", "replay", "web.py", *words)
        assert answer.status == 2
        assert "--all" in answer.err

    @pytest.mark.parametrize("id", ["nonsense", "file-1:1:0"])
    def test_an_id_that_is_none(self, call: Call, id: str) -> None:
        answer = call("dead", "show", "web.py", id)
        assert answer.status == 2
        assert id in answer.err

    def test_dead_letters_are_in_the_store(self, call: Call, store: str) -> None:
        assert call("dead", "list", "web.py", "--dead", store).status == 0
        assert call("dead", "list", "web.py", "--dead", "sqlite:other.db").status == 2


@pytest.mark.usefixtures("store")
def test_reset_begins_a_new_generation(call: Call) -> None:
    answer = call("reset", "web.py", "--to", "latest")
    assert answer.status == 0
    assert "new generation" in answer.out
    assert call("query", "web.py", "requests", "--format", "json").objects() == []
    assert "nothing was counted" in call("query", "web.py", "requests").err
    assert call("dead", "list", "web.py", "--format", "json").objects() == []


def test_help_and_version(call: Call) -> None:
    for words in (
        [],
        ["run"],
        ["query"],
        ["rows"],
        ["audit"],
        ["dead"],
        ["dead", "show"],
        ["reset"],
        ["validate"],
    ):
        answer = call(*words, "--help")
        assert answer.status == 0
        assert answer.out.startswith("Usage: comporta")
    assert "_COMPORTA_COMPLETE=bash_source" in call("--help").out
    version, decoder = call("--version").out.splitlines()
    assert version.startswith("comporta, version ")
    assert decoder.startswith("Kafka's record batches are decoded ")
