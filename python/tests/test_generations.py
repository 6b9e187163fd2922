from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from steps import definition, generation, metric

from comporta.errors import DefinitionError
from comporta.generations import redefined

HITS = metric("requests", by=["status"], every=60)
BYTES = metric("bytes", "sum", of="bytes")
PAGES = metric("pages", "top", of="path", k=10)


def test_an_unchanged_definition_changes_nothing() -> None:
    current = generation(HITS, BYTES)
    change = redefined(current, definition(HITS, BYTES))
    assert (change.generation, change.added, change.removed) == (current, [], [])
    assert (change.fields_added, change.fields_removed) == ([], [])


def test_what_does_not_change_what_is_counted_is_taken_over() -> None:
    new = replace(definition(BYTES, HITS), late=3600, dedup={"header": "id", "within": 60}, file="moved.py")
    change = redefined(generation(HITS, BYTES), new)
    assert (change.generation.definition, change.added, change.removed) == (new, [], [])


def test_metrics_come_and_go_and_come_again() -> None:
    first = redefined(generation(HITS), definition(HITS, BYTES))
    assert (first.added, first.removed) == (["bytes"], [])
    second = redefined(first.generation, definition(BYTES))
    assert (second.added, second.removed, second.generation.retired) == ([], ["requests"], [HITS])
    third = redefined(second.generation, definition(BYTES, HITS))
    assert (third.added, third.removed, third.generation.retired) == (["requests"], [], [])


def test_fields_of_rows_come_and_go_and_come_again() -> None:
    first = redefined(generation(HITS), definition(HITS, rows=["status", "path"]))
    assert (first.fields_added, first.fields_removed) == (["status", "path"], [])
    second = redefined(first.generation, definition(HITS, rows=["path", "host"]))
    assert (second.fields_added, second.fields_removed) == (["host"], ["status"])
    third = redefined(second.generation, definition(HITS, rows=["host", "path", "status"]))
    assert (third.fields_added, third.fields_removed) == (["status"], [])
    assert third.generation.definition.rows == ["host", "path", "status"]


@pytest.mark.parametrize(
    ("before", "change", "words"),
    [
        (HITS, {"by": ["status", "path"]}, r"by was \['status'\] and is \['status', 'path'\]"),
        (HITS, {"every": None}, "every was 60 and is None"),
        (BYTES, {"of": "size"}, "of was 'bytes' and is 'size'"),
        (BYTES, {"kind": "max"}, "kind was 'sum' and is 'max'"),
        (PAGES, {"k": 20}, "k was 10 and is 20"),
    ],
)
def test_a_metric_that_means_something_else_is_refused(before: Any, change: Any, words: str) -> None:
    with pytest.raises(DefinitionError, match=words) as refused:
        redefined(generation(before), definition({**before, **change}))
    assert str(refused.value).startswith("access.py: the metric ")
    assert "`comporta reset access.py`" in str(refused.value)


def test_a_metric_that_was_removed_may_not_come_again_as_another() -> None:
    removed = redefined(generation(HITS, BYTES), definition(BYTES)).generation
    removed = redefined(removed, definition(BYTES, PAGES)).generation
    with pytest.raises(DefinitionError, match="every was 60"):
        redefined(removed, definition(BYTES, {**HITS, "every": 3600}))
