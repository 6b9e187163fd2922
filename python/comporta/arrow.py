"""Batches as Arrow: what a batch transform gets, and how what it returns is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from comporta.errors import TransformError
from comporta.event_time import Milliseconds
from comporta.records import Decoded
from comporta.rows import Rows

SCHEMA = pa.schema(
    [
        pa.field("value", pa.binary()),
        pa.field("key", pa.binary()),
        pa.field("timestamp", pa.timestamp("ms", "UTC")),
        pa.field("offset", pa.int64()),
        pa.field("partition", pa.string()),
        pa.field("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)
PER_MILLISECOND = {"us": 1_000, "ns": 1_000_000}


def record_batch(decoded: Decoded) -> pa.RecordBatch:
    """The records of a batch as a batch transform gets them. What no record has is null."""
    headers = [
        [{"key": key, "value": value} for key, value in pairs] if pairs else None for pairs in decoded.headers
    ]
    columns = [
        decoded.values,
        decoded.keys,
        decoded.timestamps,
        decoded.offsets,
        decoded.shown,
        headers,
    ]
    arrays = [
        pa.array(column, column_type) for column, column_type in zip(columns, SCHEMA.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def read(made: Any, offsets: Sequence[int], fields: Iterable[str]) -> Rows:
    """The rows of what a batch transform returned for the records of these offsets.

    The rows' `records` are indexes into `offsets`. Raises `TransformError` for what it may not return.
    """
    names, column = _columns(made)
    count = len(made)
    if "offset" in names:
        records = _records(column("offset"), offsets)
    elif count == len(offsets):
        records = list(range(count))
    else:
        raise TransformError(
            f"the transform returned {count:,} rows for {len(offsets):,} records; keep the column `offset`,"
            " which says which record a row is from, or return as many rows as came in"
        )
    columns = {name: column(name) if name in names else [None] * count for name in fields}
    return Rows(records=records, columns=columns, names=names)


def _columns(made: Any) -> tuple[list[str], Callable[[str], list[Any]]]:
    """The names of a table's columns, and what gives the values of one."""
    if isinstance(made, (pa.RecordBatch, pa.Table)):
        names = made.schema.names

        def column(name: str) -> list[Any]:
            return _values(name, made.column(name))
    elif type(made).__name__ == "DataFrame" and type(made).__module__.partition(".")[0] in (
        "pandas",
        "polars",
    ):
        names = [str(name) for name in made.columns]

        def column(name: str) -> list[Any]:
            return _values(name, _arrow(made[name]))
    else:
        kind = f"{type(made).__module__}.{type(made).__qualname__}".removeprefix("builtins.")
        raise TransformError(
            f"the transform returned a {kind}; return a pyarrow RecordBatch or Table, or a pandas or polars"
            " DataFrame"
        )
    for name in set(names):
        if names.count(name) > 1:
            raise TransformError(
                f"the transform returned {names.count(name)} columns called {name!r}; name each once"
            )
    return names, column


def _arrow(series: Any) -> Any:
    """A pandas or polars Series as an Arrow array, or as a list where its values are Python's own objects."""
    if type(series).__module__.startswith("polars"):
        return series.to_list() if str(series.dtype) == "Object" else series.to_arrow()
    if str(series.dtype) == "object":
        return series.tolist()
    try:
        return pa.array(series, from_pandas=True)
    except pa.ArrowException:  # a type that Arrow has no equal of
        return series.tolist()


def _values(name: str, array: Any) -> list[Any]:
    if isinstance(array, list):
        return [None if isinstance(value, float) and value != value else value for value in array]
    if pa.types.is_timestamp(array.type):
        if name == "time":
            return _milliseconds(array)
        # Nanoseconds would come as pandas' own type, and other time zones need a database of them.
        array = array.cast(pa.timestamp("us"), safe=False).cast(pa.timestamp("us", "UTC"))
    elif pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), None, array)
    values: list[Any] = array.to_pylist()
    return values


def _milliseconds(array: Any) -> list[Any]:
    ticks = array.cast(pa.int64()).to_pylist()
    if array.type.unit == "s":
        return [None if tick is None else Milliseconds(tick * 1000) for tick in ticks]
    divisor = PER_MILLISECOND.get(array.type.unit, 1)
    return [None if tick is None else Milliseconds(tick // divisor) for tick in ticks]


def _records(values: list[Any], offsets: Sequence[int]) -> list[int]:
    index = {offset: record for record, offset in enumerate(offsets)}
    try:
        return [index[value] for value in values]
    except (KeyError, TypeError):
        odd = next(value for value in values if not isinstance(value, (int, float)) or value not in index)
        raise TransformError(
            f"the transform returned the offset {odd!r}, which no record of the batch has; leave the column"
            " `offset` as it came in"
        ) from None
