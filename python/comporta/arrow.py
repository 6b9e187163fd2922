"""Batches as Arrow: what a batch transform gets, and how what it returns is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from comporta.buffers import Binary, Buffers, Fixed
from comporta.columns import NO_TIME, Column, values
from comporta.errors import TransformError
from comporta.groups import Grouping, Indexes
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
PER_MILLISECOND = {"ms": 1, "us": 1_000, "ns": 1_000_000}
FAR = 1 << 50  # seconds that no time that is understood has


def record_batch(decoded: Decoded) -> pa.RecordBatch:
    """The records of a batch as a batch transform gets them. What no record has is null."""
    buffers = decoded.buffers
    arrays = _arrays(decoded) if buffers is None else _wrapped(buffers, decoded.batch.shown, decoded.count)
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _arrays(decoded: Decoded) -> list[pa.Array]:
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
    return [pa.array(column, column_type) for column, column_type in zip(columns, SCHEMA.types, strict=True)]


def _wrapped(buffers: Buffers, shown: str, count: int) -> list[pa.Array]:
    """The columns that these buffers are, which are not copied."""
    headers = SCHEMA.field("headers").type
    names = _array(pa.string(), buffers.header_count, buffers.header_names)
    contents = _array(pa.binary(), buffers.header_count, buffers.header_values)
    pairs = pa.StructArray.from_arrays([names, contents], fields=list(headers.value_type))
    return [
        _array(pa.binary(), count, buffers.value),
        _array(pa.binary(), count, buffers.key),
        _array(SCHEMA.field("timestamp").type, count, buffers.timestamp),
        _array(pa.int64(), count, buffers.offset),
        _repeated(shown, count),
        _array(headers, count, buffers.headers, children=[pairs]),
    ]


def _repeated(text: str, count: int) -> pa.Array:
    """As pyarrow's own `repeat`, which would import pandas where it is installed."""
    data = text.encode()
    ends = numpy.arange(count + 1, dtype=numpy.int32) * len(data)
    return _array(pa.string(), count, (0, None, ends.tobytes(), data * count))


def _array(kind: pa.DataType, count: int, parts: Binary | Fixed, children: Any = None) -> pa.Array:
    nulls, *made = parts
    wrapped = [None if part is None else pa.py_buffer(part) for part in made]
    return pa.Array.from_buffers(kind, count, wrapped, nulls, children=children)


def read(made: Any, offsets: Sequence[int], fields: Iterable[str]) -> Rows:
    """The rows of what a batch transform returned for the records of these offsets.

    The rows' `records` are indexes into `offsets`. Raises `TransformError` for what it may not return.
    """
    names, column = _columns(made)
    count = len(made)
    if "offset" in names:
        records = _records(column("offset"), offsets)
    elif count == len(offsets):
        records = numpy.arange(count)
    else:
        raise TransformError(
            f"the transform returned {count:,} rows for {len(offsets):,} records; keep the column `offset`,"
            " which says which record a row is from, or return as many rows as came in"
        )
    columns: dict[str, Column] = {name: column(name) if name in names else [None] * count for name in fields}
    return Rows(records=records, columns=columns, names=names)


def _columns(made: Any) -> tuple[list[str], Callable[[str], Column]]:
    """The names of a table's columns, and what gives the values of one."""
    if isinstance(made, (pa.RecordBatch, pa.Table)):
        names = made.schema.names

        def column(name: str) -> Column:
            return _column(name, made.column(name))
    elif type(made).__name__ == "DataFrame" and type(made).__module__.partition(".")[0] in (
        "pandas",
        "polars",
    ):
        names = [str(name) for name in made.columns]

        def column(name: str) -> Column:
            return _column(name, _arrow(made[name]))
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


def _column(name: str, array: Any) -> Column:
    if isinstance(array, list):
        return [None if isinstance(value, float) and value != value else value for value in array]
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_timestamp(kind) and name == "time":
        return _milliseconds(array)
    if pa.types.is_timestamp(kind):
        # Nanoseconds would come as pandas' own type, and other time zones need a database of them.
        array = array.cast(pa.timestamp("us"), safe=False).cast(pa.timestamp("us", "UTC"))
    elif pa.types.is_floating(kind):
        array = pc.if_else(pc.is_nan(array), None, array)
    if array.null_count == 0 and (pa.types.is_float64(kind) or pa.types.is_signed_integer(kind)):
        numbers = _numbers(array)
        return numbers if pa.types.is_float64(kind) else numbers.astype(numpy.int64)
    return _grouped(array)


def _grouped(array: Any) -> Column:
    """A column by its distinct values; as they are where Arrow cannot tell."""
    if not pa.types.is_dictionary(array.type):
        try:
            array = array.dictionary_encode()
        except pa.ArrowException:  # a type that has no hash: lists, say
            found: list[Any] = array.to_pylist()
            return found
    identities = array.dictionary.to_pylist()
    indexes = array.indices
    if indexes.null_count:
        indexes = pc.fill_null(indexes.cast(pa.int64()), len(identities))
        identities.append(None)
    return Grouping(_numbers(indexes).astype(numpy.intp), identities)


def _numbers(array: Any) -> NDArray[Any]:
    """Numbers, none of which is null, as numpy has them, not copied. Arrow's own way imports pandas, where it
    is installed.
    """
    kind = numpy.dtype(str(array.type))
    if not len(array):
        return numpy.zeros(0, kind)
    return numpy.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def _milliseconds(array: Any) -> NDArray[numpy.datetime64]:
    """Times as numpy has them, rounded down."""
    present = _numbers(array.is_valid().cast(pa.int8())) != 0
    ticks = _numbers(array.cast(pa.int64()).fill_null(0))
    if array.type.unit == "s":
        ticks = numpy.clip(ticks, -FAR, FAR) * 1000
    else:
        ticks = ticks // PER_MILLISECOND[array.type.unit]
    return numpy.where(present, ticks, NO_TIME).view("datetime64[ms]")


def _records(column: Column, offsets: Sequence[int]) -> Indexes:
    known = numpy.asarray(offsets, numpy.int64)
    if isinstance(column, numpy.ndarray) and column.dtype.kind == "i" and len(known):
        places = numpy.minimum(numpy.searchsorted(known, column), len(known) - 1)
        if (known[places] == column).all():
            return places
    index = {offset: record for record, offset in enumerate(offsets)}
    found = values(column)
    try:
        return numpy.array([index[value] for value in found], numpy.intp)
    except (KeyError, TypeError):
        odd = next(value for value in found if not isinstance(value, (int, float)) or value not in index)
        raise TransformError(
            f"the transform returned the offset {odd!r}, which no record of the batch has; leave the column"
            " `offset` as it came in"
        ) from None
