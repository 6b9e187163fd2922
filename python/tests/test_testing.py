from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

import comporta as c

FILE = """
import comporta as c
pipeline = c.Pipeline("p", metrics=[c.count("requests", by="status", every="1m"), c.sum("bytes", of="bytes")],
                      dedup=c.by_id("id"))

@pipeline.transform
def parse(line):
    time, status, size, id = line.decode().split()
    return {"time": time, "status": int(status), "bytes": int(size), "id": id}
"""


def test_a_file_is_run_over_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "file_of_test_testing.py"
    path.write_text(FILE)
    run = c.testing.run(
        str(path),
        [
            "2015-05-17T12:00:10Z 200 5 a",
            b"2015-05-17T12:00:50Z 200 7 b",
            "2015-05-17T12:01:00Z 500 1 c",
            "2015-05-17T12:01:00Z 500 1 c",
            "nonsense",
        ],
    )
    noon = datetime(2015, 5, 17, 12, tzinfo=timezone.utc)
    assert run.values("requests") == {(noon, 200): 2, (noon.replace(minute=1), 500): 1}
    assert run.values("bytes") == {(None,): 13}
    assert (run.outcome.counted, run.outcome.duplicates, run.outcome.dead) == (3, 1, 1)
    [letter] = run.letters
    assert letter["offset"] == 4
    assert "not enough values to unpack" in letter["error"]


def test_a_pipeline_is_run_as_it_is() -> None:
    pipeline = c.Pipeline("p", metrics=[c.count("n")])
    pipeline.transform(lambda value: None if value is None else {})
    run = c.testing.run(pipeline, [None, "text"])
    assert run.values("n") == {(None,): 1}
    assert run.outcome.dropped == 1
    assert run.rows == []
    with pytest.raises(KeyError):
        run.values("m")


def test_what_is_kept_of_rows_is_shown() -> None:
    pipeline = c.Pipeline("p", metrics=[c.count("n")], rows=["size", "text"])
    pipeline.transform(lambda value: {"size": len(value), "text": value, "more": 1} if value else None)
    run = c.testing.run(pipeline, ["one", "", "three", b"\xff"])
    assert run.rows == [{"size": 3, "text": "one"}, {"size": 5, "text": "three"}]
    assert run.outcome.dead == 1
