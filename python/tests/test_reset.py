from __future__ import annotations

from pathlib import Path

import pytest
from steps import assigned, definition, generation, metric, step

from comporta.errors import StoreError
from comporta.reset import reset
from comporta.sinks import Ledger, Sink, current_generation, open_sink


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    return open_sink(f"sqlite:{tmp_path}/store.db", create=True)


def test_everything_is_counted_again_from_where_it_was_said(sink: Sink) -> None:
    old, other = generation(), generation(name="other")
    for new in (old, other):
        sink.install(new, instead_of=None)
        (checkpoint,) = sink.open(new.id, [assigned("file-1")])
        sink.flush(
            new.id, [step(checkpoint, 9, {"requests": {(0, "[1]"): 7}}, ledger=Ledger(consumed=7, counted=7))]
        )
    changed = definition(metric("requests", by=["path"], every=3600))
    words = reset(changed, sink, "latest")
    current = current_generation(sink, "access-log")
    assert current.id in words
    assert "from latest; what was counted of 7 records is deleted" in words
    assert (current.definition, current.start, current.started) == (changed, "latest", False)
    assert current.id != old.id
    assert sink.checkpoints(current.id) == sink.checkpoints(old.id) == []
    assert list(sink.rows(old.id, "requests", None, None)) == []
    assert list(sink.rows(other.id, "requests", None, None)) == [(0, "[1]", 7)]


def test_a_pipeline_that_has_never_run_is_reset_too(sink: Sink) -> None:
    words = reset(definition(), sink, "earliest")
    assert words.endswith("from earliest")
    assert current_generation(sink, "access-log").start == "earliest"


def test_of_two_resets_at_once_one_is_told(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    sink.install(generation(), instead_of=None)
    stale = sink.current("access-log")
    reset(definition(), sink, "earliest")
    monkeypatch.setattr(sink, "current", lambda pipeline: stale)
    with pytest.raises(StoreError, match="nothing was done"):
        reset(definition(), sink, "latest")
