"""A dead letter's record is run again in the developer's own process."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from steps import letter

import comporta as c
from comporta import dead, debugging
from comporta.errors import UsageError
from comporta.payloads import Letter

PLACE = {"key": b"k", "headers": [("trace", b"t")], "timestamp": 1_700_000_000_000}


def died(value: bytes = b"12 apples") -> Letter:
    return letter(7, partition="access/3", value=value, length=len(value), **PLACE)


def pipeline() -> c.Pipeline:
    made = c.Pipeline("p", metrics=[c.count("n")])

    @made.transform
    def parse(value: bytes, record: c.Record) -> dict[str, int]:
        assert (record.key, record.topic, record.partition, record.offset) == (b"k", "access", 3, 7)
        return {"number": int(value)}

    return made


def test_a_letter_is_run_again_with_all_that_its_record_had() -> None:
    run = c.testing.rerun(pipeline(), died())
    [again] = run.letters
    assert (again["partition"], again["offset"], again["attempt"]) == ("access/3", 7, 1)
    assert "invalid literal for int()" in again["error"]
    assert c.testing.rerun(pipeline(), died(b"12")).outcome.counted == 1


def test_a_letter_without_its_whole_record_is_refused() -> None:
    with pytest.raises(UsageError, match="does not hold its whole record"):
        c.testing.rerun(pipeline(), letter(7, value=b"begin", length=100))


def test_pdb_begins_at_the_first_line_and_goes_to_where_it_was_raised(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('p record.offset\ncontinue\np value + b"!"\nquit\n'))
    assert not debugging.debug(pipeline().runner(), dead.decoded(died()))
    shown = capsys.readouterr()
    assert "assert (record.key" in shown.out
    assert "(Pdb) 7" in shown.out
    assert "b'12 apples!'" in shown.out
    assert "invalid literal for int()" in shown.err


def test_what_is_returned_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("continue\n"))
    assert debugging.debug(pipeline().runner(), dead.decoded(died(b"12")))
    assert "returned {'number': 12}" in capsys.readouterr().err


def test_a_batch_transform_gets_a_batch_of_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = c.Pipeline("p", metrics=[c.count("n")])
    made.transform_batch(lambda batch: batch)
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("p batch.num_rows, batch['offset'].to_pylist()\ncontinue\n")
    )
    assert debugging.debug(made.runner(), dead.decoded(died()))
    assert "(1, [7])" in capsys.readouterr().out


def test_the_code_of_a_letter_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file_of_test_debugging.py"
    text = """
import comporta as c
pipeline = c.Pipeline("p", metrics=[c.count("n")])
@pipeline.transform
def parse(line):
    return {"n": int(line)}
"""
    path.write_text(text)
    [first] = c.testing.run(str(path), ["x"]).letters
    [same] = c.testing.run(str(path), ["y"]).letters
    path.write_text(text + "# edited\n")
    [other] = c.testing.run(str(path), ["x"]).letters
    assert first["code"] == same["code"] != other["code"] != ""
