from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import numpy
import pandas
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from batches import Plain, plain

from comporta import arrow
from comporta.arrow import record_batch
from comporta.errors import Hopeless, TransformError
from comporta.formats import decode
from comporta.payloads import pack
from comporta.records import Batch, Decoded
from comporta.transform import BatchTransform

NOON = datetime(2015, 5, 17, 12, tzinfo=timezone.utc)


def lines(*values: bytes, probation: bool = False) -> Decoded:
    text = b"".join(value + b"\n" for value in values)
    return decode(
        Batch("lines", "file-1", "logs/a.log", 0, 0, len(text), arrival_ms=1, probation=probation), text
    )


def run(function: Any, *values: bytes, fields: tuple[str, ...] = ("a",), probation: bool = False) -> Plain:
    return plain(BatchTransform(function).run(lines(*values, probation=probation), fields))


def read(made: Any, offsets: Sequence[int], fields: Sequence[str]) -> Plain:
    return plain(arrow.read(made, offsets, fields))


def test_a_batch_has_exactly_the_columns_promised() -> None:
    batch = record_batch(lines(b"a", b"", b"\xff"))
    assert isinstance(batch, pa.RecordBatch)
    assert {field.name: field.type for field in batch.schema} == {
        "value": pa.binary(),
        "key": pa.binary(),
        "timestamp": pa.timestamp("ms", "UTC"),
        "offset": pa.int64(),
        "partition": pa.string(),
        "headers": pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())])),
    }
    assert batch.schema.names == ["value", "key", "timestamp", "offset", "partition", "headers"]
    assert batch.to_pydict() == {
        "value": [b"a", b"", b"\xff"],
        "key": [None] * 3,
        "timestamp": [None] * 3,
        "offset": [0, 2, 3],
        "partition": ["logs/a.log"] * 3,
        "headers": [None] * 3,
    }


def test_a_batch_of_kafka_has_what_the_records_came_with() -> None:
    record = {
        "offset": 5,
        "value": None,
        "key": b"k",
        "timestamp": 1_431_864_000_000,
        "headers": [("h", b"1"), ("h", None)],
        "partition": "topic/3",
        "shown": "topic/3",
        "source_offset": 5,
    }
    batch = record_batch(
        decode(Batch("records", "topic/3", "topic/3", 5, 5, 6, arrival_ms=1), pack([record]))
    )
    assert batch.to_pylist() == [
        {
            "value": None,
            "key": b"k",
            "timestamp": NOON,
            "offset": 5,
            "partition": "topic/3",
            "headers": [{"key": "h", "value": b"1"}, {"key": "h", "value": None}],
        }
    ]


def as_table(batch: pa.RecordBatch) -> pa.Table:
    return pa.table({"a": batch.column("value")})


KINDS: list[Callable[[pa.RecordBatch], Any]] = [
    lambda batch: pa.RecordBatch.from_arrays([batch.column("value")], ["a"]),
    as_table,
    lambda batch: as_table(batch).to_pandas(),
    lambda batch: polars.from_arrow(as_table(batch)),
]


@pytest.mark.parametrize("function", KINDS)
def test_every_kind_of_table_is_read(function: Any) -> None:
    rows = run(function, b"x", b"y", fields=("a", "absent"))
    assert rows.records == [0, 1]
    assert rows.columns == {"a": [b"x", b"y"], "absent": [None, None]}
    assert rows.names == ["a"]
    assert rows.failures == {}


@pytest.mark.parametrize("convert", [lambda t: t, lambda t: t.to_pandas(), polars.from_arrow])
def test_offsets_say_which_records_rows_are_from(convert: Any) -> None:
    def transform(batch: pa.RecordBatch) -> Any:
        offsets = batch.column("offset").to_pylist()
        return convert(pa.table({"offset": [offsets[2], offsets[0], offsets[2]], "a": [1, 2, 3]}))

    rows = run(transform, b"x", b"yy", b"z")
    assert rows.records == [2, 0, 2]
    assert rows.columns == {"a": [1, 2, 3]}


def test_offsets_that_pandas_made_floats_are_still_offsets() -> None:
    rows = run(lambda batch: pandas.DataFrame({"offset": [2.0, 0.0], "a": [1, 2]}), b"x", b"y")
    assert rows.records == [1, 0]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "NoneType"),
        ({"a": [1]}, "a dict"),
        ([1], "a list"),
        (pa.array([1, 2]), "Array"),
        (pandas.Series([1, 2]), "Series"),
        (polars.LazyFrame({"a": [1, 2]}), "LazyFrame"),
        (pa.table({"a": [1]}), "1 rows for 2 records; keep the column `offset`"),
        (pa.table({"offset": [0, 1], "a": [1, 1]}), "offset 1,"),
        (pa.table({"offset": [0, None], "a": [1, 1]}), "offset None"),
        (pandas.DataFrame({"offset": [0, float("nan")]}), "offset None"),
        (pa.table({"offset": ["0", "2"]}), "offset '0'"),
        (pa.table([[1, 2], [3, 4]], names=["a", "a"]), "2 columns called 'a'"),
        (pandas.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), "2 columns called 'a'"),
    ],
)
def test_anything_else_is_an_error_that_says_what_to_return(made: Any, words: str) -> None:
    with pytest.raises(TransformError) as caught:
        read(made, [0, 2], ["a"])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1.0, float("nan"), None]), [1.0, None, None]),
        (pandas.Series([1.0, float("nan"), 2.5]), [1.0, None, 2.5]),
        (pandas.Series([1, None, 2], dtype="Int64"), [1, None, 2]),
        (pandas.Series(["x", None, float("nan")], dtype=object), ["x", None, None]),
        (pandas.Series(["x", None, "x"], dtype="category"), ["x", None, "x"]),
        (pandas.Series([1, "x", b"y"], dtype=object), [1, "x", b"y"]),
        (polars.Series([1.5, float("nan"), None]), [1.5, None, None]),
        (polars.Series([1, "x", float("nan")], dtype=polars.Object), [1, "x", None]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"]),
        (pa.array([Decimal("1.5"), None, Decimal("2")]), [Decimal("1.5"), None, Decimal("2.0")]),
        (pa.array([True, None, False]), [True, None, False]),
        (pa.array([NOON.replace(tzinfo=None), None], pa.timestamp("ns")), [NOON, None]),
        (pa.array([NOON, None], pa.timestamp("ms", "America/New_York")), [NOON, None]),
        (pandas.Series([pandas.Timestamp(NOON), pandas.NaT]), [NOON, None]),
        (polars.Series([NOON.replace(tzinfo=None), None]), [NOON, None]),
        (pa.array([float("inf")]), [float("inf")]),
        (pa.array(["b", None, "a", "b"]).dictionary_encode(), ["b", None, "a", "b"]),
        (pa.chunked_array([["a", "b"], ["b"]]), ["a", "b", "b"]),
        (pa.array([[1], None]), [[1], None]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_values_are_python_s_own_and_gaps_are_none(column: Any, expected: list[Any]) -> None:
    made: Any
    if isinstance(column, pandas.Series):
        made = pandas.DataFrame({"a": column})
    elif isinstance(column, polars.Series):
        made = polars.DataFrame({"a": column})
    else:
        made = pa.table({"a": column})
    values = read(made, range(len(expected)), ["a"]).columns["a"]
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_are_milliseconds_whatever_the_unit(unit: str, zone: str | None) -> None:
    moments = [NOON if zone else NOON.replace(tzinfo=None), None]
    rows = read(pa.table({"time": pa.array(moments, pa.timestamp(unit, zone))}), [0, 1], ["time"])
    assert rows.columns == {"time": [1_431_864_000_000, None]}


def test_times_are_rounded_down() -> None:
    rows = read(pa.table({"time": pa.array([-1, 1_999], pa.timestamp("us"))}), [0, 1], ["time"])
    assert rows.columns == {"time": [-1, 1]}


def strict(batch: pa.RecordBatch) -> pa.Table:
    """Fails if any of its values is not a number."""
    return pa.table({"a": pc.cast(pc.cast(batch.column("value"), pa.string()), pa.int64())})


def test_where_it_fails_the_records_that_do_it_are_alone() -> None:
    values = [b"%d" % n for n in range(100)]
    values[17] = values[63] = values[64] = b"x"
    rows = run(strict, *values)
    assert sorted(rows.failures) == [17, 63, 64]
    assert rows.records == [n for n in range(100) if n not in rows.failures]
    assert rows.columns["a"] == rows.records
    failure = rows.failures[17]
    assert failure.reason == "exception"
    assert failure.error.startswith("ArrowInvalid: ")
    assert failure.error.endswith("in strict)")


def test_whatever_it_raises_is_caught() -> None:
    def leave(batch: pa.RecordBatch) -> None:
        raise SystemExit

    assert sorted(run(leave, b"x", b"y", b"z").failures) == [0, 1, 2]


def test_an_empty_batch_is_not_run() -> None:
    rows = run(strict)
    assert (rows.records, rows.columns) == ([], {"a": []})


def test_under_probation_a_thousand_failures_and_no_success_are_a_mistake() -> None:
    calls = 0

    def transform(batch: pa.RecordBatch) -> None:
        nonlocal calls
        calls += 1

    with pytest.raises(Hopeless, match="first 1,000 records failed"):
        run(transform, *[b"x"] * 20_000, probation=True)
    assert calls < 2100
    assert len(run(transform, *[b"x"] * 999, probation=True).failures) == 999


def test_it_imports_neither_pandas_nor_polars() -> None:
    code = "import sys, comporta.arrow; print(*sorted({'pandas', 'polars'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_numpy_scalars_in_objects_come_through() -> None:
    frame = pandas.DataFrame({"a": pandas.Series([numpy.int64(1), numpy.float64("nan")], dtype=object)})
    assert read(frame, [0, 1], ["a"]).columns["a"] == [1, None]
