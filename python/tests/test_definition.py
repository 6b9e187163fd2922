from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import comporta as c
from comporta.definition import Definition
from comporta.errors import DefinitionError


def pipeline(**options: Any) -> c.Pipeline:
    return c.Pipeline("p", metrics=[c.count("n")], **options)


def full() -> c.Pipeline:
    return c.Pipeline(
        "access-log",
        time_format="%d/%b/%Y:%H:%M:%S %z",
        dedup=c.by_id("request_id", within="24h"),
        ordered_by="partition",
        late="7d",
        retention="400d",
        rows=["time", "path"],
        metrics=[
            c.count("requests", by=["status", "method"], every="1m"),
            c.top("pages", of="path", k=50, every="2h"),
            c.mean("typical", of="ms", by="host"),
        ],
    )


def test_definition_says_all_in_seconds() -> None:
    definition = full().definition()
    assert json.loads(definition.to_json()) == {
        "name": "access-log",
        "file": __file__,
        "time_format": "%d/%b/%Y:%H:%M:%S %z",
        "dedup": {"field": "request_id", "within": 86400},
        "ordered_by": "partition",
        "late": 7 * 86400,
        "retention": 400 * 86400,
        "metrics": [
            {
                "name": "requests",
                "kind": "count",
                "of": None,
                "by": ["status", "method"],
                "every": 60,
                "k": None,
            },
            {"name": "pages", "kind": "top", "of": "path", "by": [], "every": 7200, "k": 50},
            {"name": "typical", "kind": "mean", "of": "ms", "by": ["host"], "every": None, "k": None},
        ],
        "rows": ["time", "path"],
    }


def test_definition_comes_back_from_json() -> None:
    definition = full().definition()
    assert Definition.from_json(definition.to_json()) == definition
    assert Definition.from_json(definition.to_json().encode()) == definition


def test_definitions_that_were_stored_before_there_were_rows_keep_none() -> None:
    definition = pipeline().definition()
    stored = json.loads(definition.to_json())
    del stored["rows"]
    assert Definition.from_json(json.dumps(stored)) == definition
    assert definition.rows == []


def test_one_field_of_rows_needs_no_list() -> None:
    assert pipeline(rows="path").definition().rows == ["path"]


def test_what_is_kept_of_rows_is_part_of_the_meaning() -> None:
    assert pipeline(rows=["a"]).definition().hash() != pipeline(rows=["b"]).definition().hash()


def test_hash_is_of_the_meaning_not_of_the_place() -> None:
    first, second = full(), full()
    second.file = "/elsewhere/access.py"
    assert first.definition().hash() == second.definition().hash()
    assert first.definition().hash() != pipeline().definition().hash()


def test_ids_can_be_in_a_header_and_are_kept_a_day_by_default() -> None:
    definition = pipeline(dedup=c.by_id(header="request-id")).definition()
    assert definition.dedup == {"header": "request-id", "within": 86400}


@pytest.mark.parametrize(
    ("make", "what", "right"),
    [
        (lambda: c.count("n", every="1 minute"), "every='1 minute'", 'every="1m"'),
        (lambda: c.count("n", every="0s"), "every='0s'", "above zero"),
        (lambda: c.count("n", every="99999d"), "every='99999d'", "at most 36500d"),
        (lambda: c.count("n", every=60), "every=60", 'every="1m"'),  # type: ignore[arg-type]
        (lambda: c.count("n", every="१m"), "every='१m'", 'every="1m"'),
        (lambda: c.count(""), "''", "1 to 100"),
        (lambda: c.count("../n"), "'../n'", "the first not"),
        (lambda: c.count("n", by=[1]), "by=1", "name one"),  # type: ignore[list-item]
        (lambda: c.count("n", by=["a", "a"]), "'a' twice", "each field once"),
        (lambda: c.count("n", by=7), "by=7", '"status"'),  # type: ignore[arg-type]
        (lambda: c.sum("n", of=""), "of=''", "name one"),
        (lambda: c.top("n", of=None), "of=None", "name one"),
        (lambda: c.top("n", of="a", k=0), "k=0", "from 1 to 1000"),
        (lambda: c.top("n", of="a", k=True), "k=True", "from 1 to 1000"),
        (lambda: c.by_id(), "a field or a header", "by_id(header="),
        (lambda: c.by_id("a", header="b"), "a field or a header", "by_id(header="),
        (lambda: c.by_id("a", within="day"), "within='day'", "such as"),
        (lambda: c.Pipeline("p", metrics=[]), "counts nothing", "comporta.count"),
        (lambda: c.Pipeline("p", metrics=c.count("n")), "no list", "metrics=["),  # type: ignore[arg-type]
        (lambda: c.Pipeline("p", metrics=["n"]), "'n' is no metric", "comporta.count"),  # type: ignore[list-item]
        (lambda: c.Pipeline("a b", metrics=[c.count("n")]), "'a b' is no name", "1 to 100"),
        (lambda: c.Pipeline("p", metrics=[c.count("n"), c.mean("n", of="x")]), "called 'n'", "of its own"),
        (lambda: pipeline(time_format="%Q"), "%Q", "strptime"),
        (lambda: pipeline(time_format="%H:%M"), "no whole date", "%Y-%m-%d"),
        (lambda: pipeline(time_format=5), "time_format=5", "%d/%b/%Y"),
        (lambda: pipeline(dedup="id"), "dedup='id'", "by_id("),
        (lambda: pipeline(ordered_by="key"), "ordered_by='key'", 'ordered_by="partition"'),
        (lambda: pipeline(late="soon"), "late='soon'", 'late="1m"'),
        (lambda: pipeline(retention="ever"), "retention='ever'", 'retention="1m"'),
        (lambda: pipeline(rows=[]), "rows=[] keeps nothing", 'rows=["time", "status"]'),
        (lambda: pipeline(rows=True), "rows=True", "no list of fields"),
        (lambda: pipeline(rows=["a", 1]), "rows=1", 'rows="status"'),
        (lambda: pipeline(rows=["a", "b", "a"]), "'a' twice", "each field once"),
    ],
)
def test_what_is_not_valid_is_said_with_what_would_be_right(make: Any, what: str, right: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make()
    text = str(caught.value)
    assert what in text
    assert right in text
    assert text.startswith(f"{__file__}:")
    assert "\n" not in text


def test_errors_name_the_line_of_the_call() -> None:
    with pytest.raises(DefinitionError) as caught:
        c.count("n", every="x")
    assert caught.value.file == __file__
    line = Path(__file__).read_text().splitlines()[(caught.value.line or 0) - 1]
    assert line.strip() == 'c.count("n", every="x")'


def test_a_decorated_function_stays_an_ordinary_one() -> None:
    def parse(line: bytes) -> dict[str, int]:
        return {"length": len(line)}

    assert pipeline().transform(parse) is parse
    assert pipeline().transform_batch(parse) is parse


async def asynchronous(line: bytes) -> None: ...


def generator(line: bytes) -> Any:
    yield {}


@pytest.mark.parametrize(
    ("function", "right"),
    [
        (lambda: None, "(value, record)"),
        (lambda a, b, d: None, "(value, record)"),
        (lambda *, value: None, "(value, record)"),
        (asynchronous, "not with async def"),
        (generator, "return a list"),
        ("parse", "over a function"),
    ],
)
def test_what_cannot_be_a_transform_is_refused(function: Any, right: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        pipeline().transform(function)
    assert right in str(caught.value)
    assert str(caught.value).startswith(f"{__file__}:")


def test_a_pipeline_has_one_transform() -> None:
    made = pipeline()
    with pytest.raises(DefinitionError, match=r"no transform; put @pipeline\.transform"):
        made.runner()
    made.transform(lambda value: None)
    with pytest.raises(DefinitionError, match="two transforms"):
        made.transform_batch(lambda batch: batch)
