from __future__ import annotations

import collections
import functools
import json
import sys
from typing import Any

import pytest
from batches import Plain, plain

from comporta.errors import Hopeless
from comporta.formats import decode
from comporta.records import Batch, Decoded, Record
from comporta.transform import LONGEST_TRACEBACK, TRACEBACKS, RecordTransform


def decoded(*values: bytes, probation: bool = False) -> Decoded:
    text = b"".join(value + b"\n" for value in values)
    return decode(Batch("lines", "file-1", "a.log", 0, 0, len(text), arrival_ms=1, probation=probation), text)


def run(function: Any, *values: bytes, fields: tuple[str, ...] = ("a",), probation: bool = False) -> Plain:
    return plain(RecordTransform(function).run(decoded(*values, probation=probation), fields))


def test_a_dict_is_a_row() -> None:
    rows = run(lambda value: {"a": value, "b": 1}, b"x", b"y")
    assert rows.records == [0, 1]
    assert rows.columns == {"a": [b"x", b"y"]}
    assert rows.names == ["a", "b"]
    assert rows.failures == {}


def test_none_and_an_empty_list_are_no_row() -> None:
    assert run(lambda value: None, b"x").records == []
    rows = run(lambda value: [], b"x")
    assert (rows.records, rows.failures) == ([], {})


def test_a_list_has_as_many_rows_as_dicts() -> None:
    rows = run(lambda value: [{"a": byte} for byte in value], b"xy", b"", b"z")
    assert rows.records == [0, 0, 2]
    assert rows.columns == {"a": [120, 121, 122]}


def test_a_field_that_is_missing_is_none() -> None:
    rows = run(lambda value: {"a": 1} if value == b"x" else {}, b"x", b"y")
    assert rows.columns == {"a": [1, None]}


def test_subclasses_of_dict_are_rows_and_do_not_grow() -> None:
    made = collections.defaultdict(int, b=1)
    assert run(lambda value: made, b"x").columns == {"a": [None]}
    assert dict(made) == {"b": 1}


def test_one_dict_returned_again_and_again_is_a_row_each_time() -> None:
    row: dict[str, Any] = {}

    def transform(value: bytes) -> dict[str, Any]:
        row["a"] = value
        return row

    assert run(transform, b"x", b"y").columns == {"a": [b"x", b"y"]}


@pytest.mark.parametrize(
    "made",
    [1, "text", b"bytes", (), ({},), {1}, True, [1], [{}, None], iter([{}]), object()],
    ids=lambda made: type(made).__name__,
)
def test_anything_else_is_a_failure_of_that_record(made: Any) -> None:
    rows = run(lambda value: {"a": 1} if value == b"good" else made, b"bad", b"good")
    assert rows.records == [1]
    assert rows.failures[0].reason == "value"
    assert type(made).__name__ in rows.failures[0].error
    assert "dict" in rows.failures[0].error


def broken(value: bytes) -> dict[str, Any]:
    return {"a": json.loads(value)}


def test_an_exception_is_a_failure_with_its_line_and_traceback() -> None:
    rows = run(broken, b"1", b"{", b"2")
    assert rows.records == [0, 2]
    failure = rows.failures[1]
    assert failure.reason == "exception"
    assert failure.error.startswith("JSONDecodeError: Expecting property name")
    assert failure.error.endswith(f"({__file__}:{broken.__code__.co_firstlineno + 1}, in broken)")
    assert failure.traceback is not None
    assert failure.traceback.startswith("Traceback")
    assert "comporta/transform.py" not in failure.traceback


class Nasty(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (MemoryError(), "MemoryError"),
        (Nasty(), "Nasty: (its text cannot be had)"),
        (ValueError("\udc80 \x00"), "ValueError: \\udc80 \x00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_is_raised_costs_that_record_only(error: BaseException, text: str) -> None:
    def transform(value: bytes) -> dict[str, Any]:
        if value == b"bad":
            raise error
        return {"a": 1}

    rows = run(transform, b"bad", b"good")
    assert rows.records == [1]
    assert rows.failures[0].error.startswith(text)
    (rows.failures[0].error + (rows.failures[0].traceback or "")).encode()


def test_a_recursion_without_end_costs_that_record_only() -> None:
    def transform(value: bytes) -> dict[str, Any]:
        return transform(value) if value == b"bad" else {"a": 1}

    rows = run(transform, b"bad", b"good")
    assert rows.failures[0].error.startswith("RecursionError")
    assert len(rows.failures[0].traceback or "") < 2 * LONGEST_TRACEBACK


def test_long_texts_are_cut() -> None:
    def transform(value: bytes) -> None:
        raise ValueError("x" * 10**6)

    failure = run(transform, b"bad").failures[0]
    assert len(failure.error) < 3000
    assert failure.error.endswith("in transform)")


def test_tracebacks_are_kept_for_as_many_as_fit_into_a_frame() -> None:
    failures = run(broken, *[b"{"] * (TRACEBACKS + 1)).failures
    assert failures[TRACEBACKS - 1].traceback
    assert failures[TRACEBACKS].traceback is None
    assert failures[TRACEBACKS].error == failures[0].error


def test_a_second_parameter_gets_the_record() -> None:
    def transform(value: bytes, record: Record) -> dict[str, Any]:
        return {"a": (value, record.partition, record.offset)}

    assert run(transform, b"xy", b"z").columns == {"a": [(b"xy", "a.log", 0), (b"z", "a.log", 3)]}


def one(value: bytes) -> dict[str, Any]:
    return {"a": 1}


def own_default(value: bytes, cache: dict[str, Any] = {}) -> dict[str, Any]:  # noqa: B006
    return {"a": len(cache)}


def with_record(value: bytes, record: Record | None = None) -> dict[str, Any]:
    return {"a": record is not None}


def many(value: bytes, *rest: Any, **named: Any) -> dict[str, Any]:
    return {"a": len(rest) + len(named)}


class Stateful:
    def parse(self, value: bytes) -> dict[str, Any]:
        return {"a": "method"}

    def __call__(self, value: bytes, record: Record) -> dict[str, Any]:
        return {"a": record.offset}


@functools.wraps(with_record)
def wrapped(*arguments: Any) -> dict[str, Any]:
    return {"a": len(arguments)}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (one, 1),
        (own_default, 0),
        (with_record, True),
        (many, 0),
        (Stateful().parse, "method"),
        (Stateful(), 0),
        (wrapped, 2),
        (functools.partial(lambda a, value: {"a": a}, 7), 7),
        (json.loads, 5),
    ],
)
def test_what_a_function_takes_is_seen_by_its_parameters(function: Any, expected: Any) -> None:
    rows = run(function, b'{"a": 5}')
    assert rows.failures == {}
    assert rows.columns == {"a": [expected]}


def test_under_probation_a_thousand_failures_and_no_success_are_a_mistake() -> None:
    with pytest.raises(Hopeless, match=r"first 1,000 records failed.*JSONDecodeError.*in broken"):
        run(broken, *[b"{"] * 5000, probation=True)
    assert len(run(broken, *[b"{"] * 999, probation=True).failures) == 999
    assert len(run(broken, b"1", *[b"{"] * 1000, probation=True).failures) == 1000
    assert len(run(broken, *[b"{"] * 1000).failures) == 1000


def test_a_record_transform_needs_no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run(one, b"x").records == [0]
