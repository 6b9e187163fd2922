from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from comporta.cli import main

FILE = """
import json
import comporta as c
pipeline = c.Pipeline("web", dedup=c.by_id("id", within="1h"), metrics=[
    c.count("requests", by=["status"], every="1m"), c.sum("bytes", of="size"), c.count("pages", by="pag")])
@pipeline.transform
def parse(line):
    return json.loads(line) or None
"""

BATCH_FILE = """
import comporta as c
import pyarrow as pa
pipeline = c.Pipeline('b', metrics=[c.sum('total', of='n')])
@pipeline.transform_batch
def parse(batch):
    return pa.RecordBatch.from_pydict({'n': [int(value) for value in batch['value'].to_pylist()]})
"""

LINES = [
    {"id": 1, "time": 0, "status": 200, "size": 5, "page": "/a"},
    {},
    {"id": 2, "time": "noon", "status": 200},
    {"id": 1, "time": 0, "status": 200},
]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call `comporta validate` in a folder with a pipeline and a sample in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMPORTA_SAMPLE", raising=False)
    Path("web.py").write_text(FILE)
    Path("sample[1].log").write_text("".join(json.dumps(line) + "\n" for line in LINES))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["comporta", "validate", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return (end.value.code, *capsys.readouterr())

    return call


def test_it_says_what_a_file_defines(call: Call) -> None:
    status, out, _ = call("web.py")
    assert status == 0
    assert "web.py is valid: the pipeline web" in out
    assert "parse, a record at a time" in out
    assert "requests: count by status every 60 s" in out
    assert "by the field id, within 3,600 s" in out


def test_it_says_what_is_kept_of_rows(call: Call) -> None:
    Path("web.py").write_text(FILE.replace("dedup=", 'rows=["time", "page"], dedup='))
    assert "  rows       time, page: kept of each counted row\n" in call("web.py")[1]


def test_a_sample_shows_what_becomes_of_its_lines(call: Call) -> None:
    status, out, _ = call("web.py", "--sample", "sample[1].log")
    assert status == 0
    assert "  fields     id, time, status, size, page\n" in out
    first, second, third = (out.index(json.dumps(line)) for line in LINES[:3])
    assert '-> {"id": 1, "time": 0, "status": 200, "size": 5, "page": "/a"}' in out[first:second]
    assert "-> dropped" in out[second:third]
    assert "-> dead letter: " in out[third:]
    lines = out.splitlines()
    assert lines[-3].split() == ["consumed", "counted", "dropped", "duplicates", "dead"]
    assert lines[-2].split() == ["4", "1", "1", "1", "1"]
    assert lines[-1].startswith("1 x ")
    assert "noon" in lines[-1]


def test_a_field_that_is_never_there_is_warned_of(call: Call) -> None:
    _, out, _ = call("web.py", "--sample", "sample[1].log")
    assert any("pag" in line and "page" in line for line in out.splitlines() if line.startswith("warning: "))


def test_a_batch_transform_and_a_compressed_sample(call: Call) -> None:
    Path("batch.py").write_text(BATCH_FILE)
    Path("numbers.gz").write_bytes(gzip.compress(b"1\n2\nthree\n4"))
    status, out, _ = call("batch.py", "--sample", "numbers.gz")
    assert status == 0
    assert "parse, a batch at a time" in out
    assert '2\n  -> {"n": 2}' in out
    assert out.splitlines()[-2].split() == ["4", "3", "0", "0", "1"]


def test_a_sample_of_which_nothing_succeeds_fails(call: Call) -> None:
    Path("other.log").write_text("no JSON\n" * 3)
    status, out, _ = call("web.py", "--sample", "other.log")
    assert status == 1
    assert "3 x JSONDecodeError" in out


def test_an_empty_sample(call: Call) -> None:
    Path("empty.log").write_text("")
    assert call("web.py", "--sample", "empty.log")[0] == 0


def test_what_is_wrong_with_a_file_is_one_line_with_its_place(call: Call) -> None:
    Path("bad.py").write_text(
        "import comporta as c\n\npipeline = c.Pipeline('bad', metrics=[c.count('a b')])\n"
    )
    status, out, err = call("bad.py")
    assert status == 1
    assert out == ""
    assert err.startswith("comporta: error: bad.py:3: 'a b' is no name")
    assert len(err.splitlines()) == 1


def test_one_pipeline_of_several(call: Call) -> None:
    Path("two.py").write_text(FILE + FILE.replace('"web"', '"shop"').replace("pipeline", "other"))
    assert "the pipeline shop" in call("two.py:shop")[1]
    status, _, err = call("two.py")
    assert status == 1
    assert "two.py:shop" in err
