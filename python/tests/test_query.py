from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from batches import states
from steps import assigned, definition, generation, metric, step

from comporta.errors import DefinitionError, StoreError, UsageError
from comporta.metrics import from_definition
from comporta.query import query
from comporta.sinks import Sink, open_sink

HITS = metric("requests", by=["status", "path"], every=60)
ALL_TIME = metric("total", "count")
VISITORS = metric("visitors", "distinct", of="ip", by=["path"], every=3600)
DEFINITION = definition(HITS, ALL_TIME, VISITORS)


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    return open_sink(f"sqlite:{tmp_path}/store.db", create=True)


@pytest.fixture
def counted(sink: Sink) -> Sink:
    """Three partitions, the replay log among them, with rows in the same buckets and groups."""
    new = generation(HITS, ALL_TIME, VISITORS)
    sink.install(new, instead_of=None)
    one, two, three = sink.open(new.id, [assigned("file-1"), assigned("file-2"), assigned("replay")])
    visitors: Any = from_definition(VISITORS)
    first, second = states(visitors, [0, 0, 1, 1], ["1.1.1.1", "1.1.1.2", "1.1.1.2", "1.1.1.3"])
    snapshots = [
        step(
            one,
            10,
            {
                "requests": {(60, '[200, "/a"]'): 1, (60, '[404, "/b"]'): 2, (0, '[200, "/b"]'): 3},
                "total": {(0, "[]"): 6},
                "visitors": {(0, '["/a"]'): visitors.pack(first)},
            },
        ),
        step(
            two,
            10,
            {
                "requests": {(60, '[200, "/a"]'): 10, (120, '[null, "/a"]'): 20},
                "total": {(0, "[]"): 30},
                "visitors": {(0, '["/a"]'): visitors.pack(second)},
            },
        ),
        step(three, 10, {"requests": {(60, '[200, "/a"]'): 100}, "total": {(0, "[]"): 100}}),
    ]
    assert sink.flush(new.id, snapshots) == [True] * 3
    return sink


def rows(sink: Sink, metric: str, **options: Any) -> list[tuple[Any, ...]]:
    """Start, values of the group, and value of each answer."""
    return [
        (answer["start"], *answer["group"].values(), answer["value"])
        for answer in query(DEFINITION, sink, metric, **options)
    ]


def at(minute: int, second: int = 0) -> datetime:
    return datetime(1970, 1, 1, 0, minute, second, tzinfo=timezone.utc)


def test_rows_are_merged_over_partitions_and_sorted(counted: Sink) -> None:
    assert rows(counted, "requests") == [
        ("1970-01-01T00:00:00Z", 200, "/b", 3),
        ("1970-01-01T00:01:00Z", 200, "/a", 111),
        ("1970-01-01T00:01:00Z", 404, "/b", 2),
        ("1970-01-01T00:02:00Z", None, "/a", 20),
    ]


def test_an_answer_has_what_the_command_line_promises(counted: Sink) -> None:
    assert next(query(DEFINITION, counted, "requests")) == {
        "metric": "requests",
        "start": "1970-01-01T00:00:00Z",
        "end": "1970-01-01T00:01:00Z",
        "group": {"status": 200, "path": "/b"},
        "value": 3,
    }


def test_a_metric_for_all_time_has_no_bounds(counted: Sink) -> None:
    assert list(query(DEFINITION, counted, "total")) == [
        {"metric": "total", "start": None, "end": None, "group": {}, "value": 136}
    ]


def test_summaries_are_merged_and_not_added(counted: Sink) -> None:
    assert rows(counted, "visitors") == [("1970-01-01T00:00:00Z", "/a", 3)]


def test_buckets_are_bounded_by_their_starts(counted: Sink) -> None:
    everything = rows(counted, "requests")
    assert rows(counted, "requests", since=at(1)) == everything[1:]
    assert rows(counted, "requests", since=at(0, 1)) == everything[1:]
    assert rows(counted, "requests", until=at(2)) == everything[:3]
    assert rows(counted, "requests", until=at(2, 1)) == everything
    assert rows(counted, "requests", since=at(1), until=at(1)) == []


def test_groups_are_merged_where_fewer_fields_are_asked_for(counted: Sink) -> None:
    assert rows(counted, "requests", by=["path"]) == [
        ("1970-01-01T00:00:00Z", "/b", 3),
        ("1970-01-01T00:01:00Z", "/a", 111),
        ("1970-01-01T00:01:00Z", "/b", 2),
        ("1970-01-01T00:02:00Z", "/a", 20),
    ]
    assert rows(counted, "requests", by=[], since=at(1)) == [
        ("1970-01-01T00:01:00Z", 113),
        ("1970-01-01T00:02:00Z", 20),
    ]
    answer = next(query(DEFINITION, counted, "requests", by=["path", "status"]))
    assert list(answer["group"].items()) == [("path", "/b"), ("status", 200)]


def test_groups_are_sorted_whatever_their_types(sink: Sink) -> None:
    sink.install(new := generation(metric("hits", by=["x"])), instead_of=None)
    (checkpoint,) = sink.open(new.id, [assigned("file-1")])
    values = ["b", 10, None, True, 9.5, "10", False, "a", -1]
    cells = {(0, json.dumps([value])): 1 for value in values}
    sink.flush(new.id, [step(checkpoint, 10, {"hits": cells})])
    found = [answer["group"]["x"] for answer in query(new.definition, sink, "hits")]
    assert found == [None, False, True, -1, 9.5, 10, "10", "a", "b"]


def test_a_metric_that_is_not_there_is_refused_with_those_that_are(counted: Sink) -> None:
    with pytest.raises(UsageError, match="no metric 'hits'; it has requests, total, visitors"):
        query(DEFINITION, counted, "hits")


def test_a_field_that_is_not_there_is_refused_with_those_that_are(counted: Sink) -> None:
    with pytest.raises(UsageError, match="not grouped by 'method', but by status, path"):
        query(DEFINITION, counted, "requests", by=["path", "method"])
    with pytest.raises(UsageError, match="'total' is not grouped by 'path', but by nothing"):
        query(DEFINITION, counted, "total", by=["path"])


def test_a_pipeline_that_has_never_run_is_refused(sink: Sink) -> None:
    with pytest.raises(StoreError, match="knows nothing of 'access-log'"):
        query(DEFINITION, sink, "requests")


def test_a_metric_that_has_not_run_yet_has_no_answers(counted: Sink) -> None:
    new = definition(HITS, metric("new"))
    assert list(query(new, counted, "new")) == []


def test_a_metric_that_was_counted_as_another_is_refused(counted: Sink) -> None:
    with pytest.raises(DefinitionError, match="every was 60 and is 3600"):
        query(definition({**HITS, "every": 3600}), counted, "requests")
