from __future__ import annotations

import math
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy
import pandas
import polars
import pyarrow as pa
import pytest
from test_computation import MINUTE, NOON, ClaimStore, ends, errors, of_records, output, pipeline, run

import comporta as c
from comporta.computation import Computation
from comporta.payloads import unpack


def test_no_rows_are_kept_unless_they_are_asked_for() -> None:
    assert run(pipeline(), of_records({"x": 1})).result["output"] is None
    assert run(pipeline(rows=["x"]), of_records(b"bad")).result["output"] is None


def test_the_fields_that_are_asked_for_are_kept_of_each_counted_row() -> None:
    made = pipeline(rows=["time", "x"])
    outcome = run(made, of_records({"x": 1, "y": 2, "time": NOON}, {}, b"bad", {"time": "noon"}, first=7))
    assert output(outcome) == {
        ("topic/0", 7, 0): {"time": NOON, "x": 1},
        ("topic/0", 8, 0): {"time": None, "x": None},
    }


def test_rows_that_are_not_counted_are_not_kept_and_leave_the_others_their_places() -> None:
    made = pipeline(
        dedup=c.by_id("id"),
        late="1m",
        rows=["id"],
        transform=lambda value: [
            {"id": text, "time": NOON - (3 * MINUTE if text == "l" else 0)} for text in value.decode()
        ],
    )
    outcome = run(made, of_records(b"ab", b"lac", b"bb", b""), ClaimStore())
    assert ends(outcome) == (2, 1, 1, 0)
    assert output(outcome) == {
        ("topic/0", 0, 0): {"id": "a"},
        ("topic/0", 0, 1): {"id": "b"},
        ("topic/0", 1, 2): {"id": "c"},
    }


def test_a_replayed_record_s_rows_stand_at_its_source_position() -> None:
    batch = of_records({"x": 1}, first=5, partition="file-1", source_offset=77, replay=("file-1", 77, 0))
    assert output(run(pipeline(rows=["x"]), batch)) == {("file-1", 77, 0): {"x": 1}}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *[(same, same) for same in ("", 'é"\\\n\x00\U0001f40d', 0, -1, 2**1000, 0.1, -1e-300, True, False)],
        *[(None, None), (math.nan, None), (200.0, 200), (1e300, 10**300 + (int(1e300) - 10**300))],
        *[(b"caf\xc3\xa9", "café"), (bytearray(b"x"), "x"), (Decimal("1.5"), 1.5), (Decimal(3), 3)],
        (datetime(2015, 5, 17, 10, 5, 3, 250000), "2015-05-17T10:05:03.250000Z"),
        (datetime(2015, 5, 17, 10, 5, 3, tzinfo=timezone(timedelta(hours=2))), "2015-05-17T08:05:03Z"),
        *[(numpy.int64(5), 5), (numpy.datetime64("2015-05-17"), "2015-05-17T00:00:00Z"), (pandas.NaT, None)],
    ],
)
def test_what_a_row_may_hold(value: Any, kept: Any) -> None:
    found = output(run(pipeline(rows=["100% x"], transform=lambda _: {"100% x": value}), of_records({})))
    assert found == {("topic/0", 0, 0): {"100% x": kept}}
    assert type(found["topic/0", 0, 0]["100% x"]) is type(kept)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1], "x: [1] is a list"),
        ({"a": 1}, "x: {'a': 1} is a dict"),
        (math.inf, "x: inf is not finite"),
        (b"\xff", "x: b'\\xff' is not UTF-8"),
        ("\udc80", "lone surrogates"),
        (2**1024, "too great"),
        (date(2015, 5, 17), "is a date"),
        ("x" * 262_137, "takes 262,145 bytes, over 262,144"),
        ("é" * 131_069, "takes 262,146 bytes, over 262,144"),
    ],
)
def test_what_a_row_may_not_hold_makes_a_letter_and_none_of_the_rows_is_kept(value: Any, words: str) -> None:
    made = pipeline(rows=["x"], transform=lambda v: [{"x": 1}, {"x": value}] if v == b"bad" else {"x": 1})
    outcome = run(made, of_records(b"good", b"bad"))
    assert ends(outcome) == (1, 0, 0, 1)
    assert words in errors(outcome)[0]
    assert output(outcome) == {("topic/0", 0, 0): {"x": 1}}


def test_a_row_may_be_that_long() -> None:
    made = pipeline(rows=["x"], transform=lambda value: {"x": "é" * 131_068})
    assert ends(run(made, of_records({}))) == (1, 0, 0, 0)


def test_a_retention_runs_from_a_row_s_time_or_from_its_arrival() -> None:
    made = pipeline(rows=["x"], retention="1d")
    outcome = run(made, of_records({"time": NOON - MINUTE + 999}, {}, {}, arrival=NOON + 5))
    assert unpack(outcome.result["output"] or b"")["times"] == [NOON // 1000 - 60] + [NOON // 1000] * 2
    assert unpack(run(pipeline(rows=["x"]), of_records({})).result["output"] or b"")["times"] is None


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars"])
def test_rows_of_batch_transforms(kind: str) -> None:
    made = c.Pipeline("p", metrics=[c.count("n", every="1m")], rows=["time", "at", "size", "text"])

    @made.transform_batch
    def parse(batch: pa.RecordBatch) -> Any:
        offsets = batch.column("offset").to_pylist()
        if 3 in offsets:
            raise ValueError("no three")
        chosen = [offset for offset in reversed(offsets) if offset != 1 for _ in range(offset or 1)]
        time = pa.array([NOON + 1] * len(chosen), pa.timestamp("ms"))
        columns = {
            "time": time,
            "at": time.cast(pa.timestamp("us", "UTC")),
            "size": pa.array([None if offset else 2.5 for offset in chosen], pa.float64()),
            "text": pa.array([f"row {number}" for number in range(len(chosen))]),
            "offset": pa.array(chosen, pa.int64()),
        }
        table = pa.table(columns)
        return {"arrow": table, "pandas": table.to_pandas(), "polars": polars.from_arrow(table)}[kind]

    outcome = run(made, of_records({}, {}, {}, {}))
    assert ends(outcome) == (2, 1, 0, 1)
    moment = {"time": "2015-05-17T12:00:00.001000Z", "at": "2015-05-17T12:00:00.001000Z"}
    assert output(outcome) == {
        ("topic/0", 0, 0): {**moment, "size": 2.5, "text": "row 0"},
        ("topic/0", 2, 0): {**moment, "size": None, "text": "row 0"},
        ("topic/0", 2, 1): {**moment, "size": None, "text": "row 1"},
    }


def test_a_field_that_rows_never_have_gets_a_warning() -> None:
    made = Computation(pipeline(c.count("n", by="a"), rows=["a", "b"]))
    run(made, of_records({"a": 1}))
    assert made.warnings() == [
        "no row so far has the field 'b', which is kept of each row; the fields seen: a"
    ]
