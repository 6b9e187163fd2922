"""Transforms: the user's functions, and the rows that they make of a batch's records."""

from __future__ import annotations

import abc
import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from comporta.errors import Hopeless, TransformError
from comporta.note import Note
from comporta.options import OWN_FOLDER
from comporta.picking import Picker, picker
from comporta.records import Decoded, Failure
from comporta.rows import Rows
from comporta.scalars import clean, shown

if TYPE_CHECKING:  # imported where it is used: it brings numpy, which costs every process 0.1 s
    from comporta.groups import Indexes

HOPELESS = 1000  # failures in a row, when nothing of the pipeline has ever succeeded
TRACEBACKS = 1000  # of a batch; those of a million records would not fit into a frame
LONGEST_TRACEBACK = 8000  # characters
NAMED = 100  # rows whose fields are collected, so that a warning can name them


class Transform(abc.ABC):
    """A user's function as a pipeline runs it."""

    notes: ClassVar[bool] = False
    """Whether it can note which record it is at."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", type(function).__name__)

    @abc.abstractmethod
    def run(self, decoded: Decoded, fields: Iterable[str], note: Note | None = None) -> Rows:
        """The rows of a batch. Raises `Hopeless` where, under probation, nothing succeeds."""

    @abc.abstractmethod
    def arguments(self, decoded: Decoded) -> tuple[Any, ...]:
        """What the function is called with for a batch of one record."""


class RecordTransform(Transform):
    """A function of a record's value, or of its value and the record."""

    notes = True

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._takes_record = takes_record(function)

    def run(self, decoded: Decoded, fields: Iterable[str], note: Note | None = None) -> Rows:
        call: Callable[[Any], Any] = self.function
        inputs: Iterable[Any] = decoded.each()
        if self._takes_record:
            call = self._call_with_record
            inputs = zip(inputs, decoded.records(), strict=True)
        if note is not None:
            inputs = note.along(inputs, decoded.positions, decoded.batch.first, decoded.batch.next)
        picked = picker(fields)
        names: dict[str, None] = {}
        not_one: dict[int, int] = {}  # records that made another number of rows
        failures: dict[int, Failure] = {}
        for index, error in _failing(picked, call, iter(inputs), names, not_one):
            not_one[index] = 0  # SystemExit too costs only the record that it was raised for
            failures[index] = failure(error, self.function, with_traceback=len(failures) < TRACEBACKS)
            if decoded.batch.probation and index + 1 == len(failures):
                give_up(failures)
        return Rows(
            records=_records(decoded.count, not_one),
            columns=picked.columns(),
            names=[name for name in names if type(name) is str],
            failures=failures,
        )

    def arguments(self, decoded: Decoded) -> tuple[Any, ...]:
        record = decoded.records() if self._takes_record else []
        return (*decoded.values, *record)

    def _call_with_record(self, both: tuple[Any, Any]) -> Any:
        return self.function(*both)


class BatchTransform(Transform):
    """A function of a `pyarrow.RecordBatch`; of what it fails on, halves are tried, down to one record."""

    def run(self, decoded: Decoded, fields: Iterable[str], note: Note | None = None) -> Rows:
        from comporta import arrow  # brings pyarrow, which costs a process that does without it half a second

        batch, offsets = arrow.record_batch(decoded), decoded.offsets
        parts: list[Rows] = []
        failures: dict[int, Failure] = {}
        fields = list(fields)
        ranges = [(0, decoded.count)] if decoded.count else []
        while ranges:
            first, last = ranges.pop()
            try:
                answer = self.function(batch.slice(first, last - first))
                part = arrow.read(answer, offsets[first:last], fields)
            except BaseException as error:
                if last - first > 1:
                    middle = (first + last) // 2
                    ranges += [(middle, last), (first, middle)]
                    continue
                failures[first] = failure(error, self.function, with_traceback=len(failures) < TRACEBACKS)
                if decoded.batch.probation and last == len(failures):
                    give_up(failures)
            else:
                parts.append(replace(part, records=part.records + first))
        return _joined(parts, fields, failures)

    def arguments(self, decoded: Decoded) -> tuple[Any, ...]:
        from comporta import arrow

        return (arrow.record_batch(decoded),)


def _failing(
    picked: Picker,
    call: Callable[[Any], Any],
    inputs: Iterator[Any],
    names: dict[str, None],
    not_one: dict[int, int],
) -> Iterator[tuple[int, BaseException]]:
    """Pick the rows that a function makes of inputs; the index and the exception of each input that fails.

    How many rows an input makes, if that is not one, goes to `not_one`, and what fields they have to `names`.
    """
    dropped: list[int] = []
    for function, part, first in (_naming(call, names), islice(inputs, NAMED), 0), (call, inputs, NAMED):
        index = first
        while other := picked.take(function, part, index, dropped):
            at, made, error = other
            index = at + 1
            if error is None:
                try:
                    rows = _rows(made)
                    picked.extend(rows)
                    not_one[at] = len(rows)
                except BaseException as refused:
                    error = refused
            if error is not None:
                yield at, error
    not_one.update(dict.fromkeys(dropped, 0))


def _naming(call: Callable[[Any], Any], names: dict[str, None]) -> Callable[[Any], Any]:
    """The same function; what fields its rows have goes to `names`."""

    def naming(value: Any) -> Any:
        made = call(value)
        for row in made[:NAMED] if isinstance(made, list) else [made]:
            if isinstance(row, dict):
                names.update(dict.fromkeys(row))
        return made

    return naming


def takes_record(function: Callable[..., Any]) -> bool:
    """Whether a record transform has a second parameter, for the record. Raises `TypeError` for any other.

    A second parameter that has a default is one of the user's own, unless it is called `record`.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:  # some functions written in C do not say what they take
        return False
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    starred = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    if len(required) > 2 or not (positional or starred) or any(p not in positional for p in required):
        raise TypeError("takes (value) or (value, record)")
    return len(required) == 2 or (len(positional) > 1 and positional[1].name == "record")


def give_up(failures: dict[int, Failure]) -> None:
    """Raise `Hopeless` if these failures, without a success, are too many to be bad data."""
    if len(failures) >= HOPELESS:
        last = failures[max(failures)]
        raise Hopeless(
            f"the first {len(failures):,} records failed, and none has ever succeeded; the last: {last.error}"
        )


def failure(error: BaseException, function: Callable[..., Any], *, with_traceback: bool) -> Failure:
    """What a letter says of an exception: its text, the user's line, the traceback without our part."""
    if isinstance(error, TransformError):
        return Failure("value", clean(str(error)))
    trace = _outside(error.__traceback__)
    try:
        text = str(error)
    except BaseException:
        text = "(its text cannot be had)"
    words = f"{type(error).__name__}: {text}" if text else type(error).__name__
    words = clean(words)
    place = _place(trace, function)
    return Failure(
        reason="exception",
        error=f"{words} ({place})" if place else words,
        traceback=_traceback(error, trace) if with_traceback else None,
    )


def _outside(trace: TracebackType | None) -> TracebackType | None:
    while trace and trace.tb_frame.f_code.co_filename.startswith(OWN_FOLDER):
        trace = trace.tb_next
    return trace


def _place(trace: TracebackType | None, function: Callable[..., Any]) -> str | None:
    """File and line of the innermost call in the file that the function is from."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    found = None
    while trace:
        if code and trace.tb_frame.f_code.co_filename == code.co_filename:
            found = f"{code.co_filename}:{trace.tb_lineno}, in {trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return found


def _traceback(error: BaseException, trace: TracebackType | None) -> str:
    try:
        return clean("".join(traceback.format_exception(type(error), error, trace)), LONGEST_TRACEBACK)
    except BaseException:  # it asks the error for its text, which is the user's code
        return clean("".join(traceback.format_tb(trace)), LONGEST_TRACEBACK)


def _records(count: int, not_one: Mapping[int, int]) -> Indexes:
    """The record of each row, where each of so many records made one, but these."""
    import numpy

    records = numpy.arange(count)
    if not not_one:
        return records
    rows = numpy.ones(count, numpy.intp)
    rows[list(not_one)] = list(not_one.values())
    return numpy.repeat(records, rows)


def _joined(parts: Sequence[Rows], fields: Sequence[str], failures: dict[int, Failure]) -> Rows:
    """The rows of all parts of a batch, one after another."""
    import numpy

    from comporta.columns import values

    if len(parts) == 1:
        return replace(parts[0], failures=failures)
    return Rows(
        records=numpy.concatenate([numpy.zeros(0, numpy.intp), *(part.records for part in parts)]),
        columns={
            name: list(chain.from_iterable(values(part.columns[name]) for part in parts)) for name in fields
        },
        names=next((part.names for part in parts if part.names), []),
        failures=failures,
    )


def _rows(made: Any) -> list[dict[str, Any]]:
    """The rows of what a record transform returned, if it is not simply a dict."""
    if isinstance(made, dict):
        return [dict(made)]
    if not isinstance(made, list):
        raise TransformError(
            f"the transform returned {shown(made)}, a {type(made).__name__}; return a dict, a list of dicts,"
            " or None to drop the record"
        )
    for row in made:
        if not isinstance(row, dict):
            raise TransformError(
                f"the transform returned a list with {shown(row)}, a {type(row).__name__}, in it;"
                " each row must be a dict"
            )
    return [dict(row) for row in made]
