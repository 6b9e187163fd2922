from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from steps import assigned, generation, step

from comporta.audit import audit
from comporta.errors import StoreError
from comporta.sinks import Checkpoint, Ledger, Sink, open_sink

FIRST = Ledger(consumed=100, counted=80, dropped=5, duplicates=5, dead=10)
SECOND = Ledger(consumed=10, counted=10)
REPLAYED = Ledger(consumed=4, counted=2, dropped=0, duplicates=1, dead=1)


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    return open_sink(f"sqlite:{tmp_path}/store.db", create=True)


def flushed(sink: Sink, ledgers: Mapping[str, Ledger]) -> Sink:
    new = generation()
    sink.install(new, instead_of=None)
    opened = sink.open(new.id, [assigned(partition, shown=f"/{partition}") for partition in ledgers])
    sink.flush(new.id, [step(known, 50, ledger=ledgers[known.partition]) for known in opened])
    return sink


def test_a_line_for_each_partition_and_one_for_the_whole(sink: Sink) -> None:
    lines = audit(flushed(sink, {"file-1": FIRST, "file-2": SECOND}), "access-log")
    assert [line["partition"] for line in lines] == ["/file-1", "/file-2", None]
    assert lines[0] == {"partition": "/file-1", **vars(FIRST), "in_flight": 0, "balanced": True}
    assert lines[-1] == {"partition": None, **vars(FIRST + SECOND), "in_flight": 0, "balanced": True}


def test_in_the_whole_a_replayed_letter_stands_where_it_ended(sink: Sink) -> None:
    lines = audit(flushed(sink, {"file-1": FIRST, "replay": REPLAYED}), "access-log")
    assert lines[1] == {"partition": "/replay", **vars(REPLAYED), "in_flight": 0, "balanced": True}
    whole = Ledger(consumed=100, counted=82, dropped=5, duplicates=6, dead=7)
    assert lines[-1] == {"partition": None, **vars(whole), "in_flight": 0, "balanced": True}


def test_a_ledger_that_does_not_add_up_is_unbalanced(sink: Sink) -> None:
    lines = audit(flushed(sink, {"file-1": Ledger(consumed=3, counted=2), "file-2": SECOND}), "access-log")
    assert [line["balanced"] for line in lines] == [False, True, False]


def recounting(counts: Mapping[str, int], seen: list[Checkpoint]) -> Mapping[str, int]:
    return counts


@pytest.mark.parametrize(
    ("counts", "recounted", "balanced"),
    [
        ({"file-1": 100, "file-2": 10}, [100, 10, None, 110], [True, True, True, True]),
        ({"file-1": 101, "file-2": 10}, [101, 10, None, 111], [False, True, True, False]),
        ({"file-2": 10}, [None, 10, None, None], [True, True, True, True]),
    ],
)
def test_what_the_source_still_holds_is_counted_again(
    sink: Sink, counts: dict[str, int], recounted: list[int | None], balanced: list[bool]
) -> None:
    flushed(sink, {"file-1": FIRST, "file-2": SECOND, "replay": REPLAYED})
    asked: list[tuple[str, int, int]] = []

    def recount(checkpoints: Sequence[Checkpoint]) -> dict[str, int]:
        asked.extend((known.partition, known.start, known.upto) for known in checkpoints)
        return counts

    lines = audit(sink, "access-log", recount)
    assert asked == [("file-1", 0, 50), ("file-2", 0, 50), ("replay", 0, 50)]
    assert [line["recounted"] for line in lines] == recounted
    assert [line["balanced"] for line in lines] == balanced


def test_a_pipeline_that_has_never_run_is_refused(sink: Sink) -> None:
    with pytest.raises(StoreError, match="knows nothing of 'access-log'"):
        audit(sink, "access-log")
