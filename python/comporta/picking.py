"""Picking: the fields that are asked for, out of the rows that a transform makes, gathered in columns.

The native picker keeps numbers and groups, the one in Python lists of values; whatever takes columns makes
the same of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from comporta.native import native

if TYPE_CHECKING:  # imported where it is used: it brings numpy, which costs every process 0.1 s
    from comporta.columns import Column

Row = dict[str, Any]

Other = tuple[int, Any, "BaseException | None"]
"""The index of an input, what a function made of it, and what it raised, if it did."""


class Picker(Protocol):
    """Picks fields out of rows as they come: a row may be another one afterwards.

    A field that a row does not have is None. What raises adds nothing.
    """

    def add(self, row: Row) -> None:
        """Add a row."""

    def extend(self, rows: Sequence[Row]) -> None:
        """Add rows, or none of them where one raises."""

    def take(
        self, function: Callable[[Any], Any], inputs: Iterator[Any], first: int, dropped: list[int]
    ) -> Other | None:
        """Add the rows that a function makes of inputs, whose indexes go on from `first`.

        The index of each of which it makes None goes to `dropped`. Where it makes anything else, or raises,
        that is handed back, and the inputs after it are still to be taken. None once there are no more.
        """

    def columns(self) -> dict[str, Column]:
        """Each field of all rows."""


def picker(fields: Iterable[str]) -> Picker:
    """What picks these fields."""
    fields = list(fields)
    return PythonPicker(fields) if native is None else NativePicker(fields)


class PythonPicker:
    """Picks values into lists."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._values: list[Any] = []  # of all fields, row by row
        self._some = _some_of(fields)
        self._take = _all_of(fields)

    def add(self, row: Row) -> None:
        try:
            self._values += self._take(row)
        except KeyError:  # it may be missing from other rows, too
            self._take = self._some
            self._values += self._take(row)

    def extend(self, rows: Sequence[Row]) -> None:
        self._values += list(chain.from_iterable(map(self._some, rows)))

    def take(
        self, function: Callable[[Any], Any], inputs: Iterator[Any], first: int, dropped: list[int]
    ) -> Other | None:
        for index, value in zip(count(first), inputs):
            try:
                made = function(value)
                if type(made) is dict:
                    self.add(made)  # now: it may return one dict again and again
                elif made is None:
                    dropped.append(index)
                else:
                    return index, made, None
            except BaseException as error:
                return index, None, error
        return None

    def columns(self) -> dict[str, Column]:
        return {name: self._values[place :: len(self._fields)] for place, name in enumerate(self._fields)}


class NativePicker:
    """Picks values into numbers and groups, as long as they are alike."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._picker = native.Picker(fields)
        self.add: Callable[[Row], None] = self._picker.add
        self.extend: Callable[[Sequence[Row]], None] = self._picker.extend
        self.take = self._picker.take

    def columns(self) -> dict[str, Column]:
        return dict(zip(self._fields, map(_column, self._picker.columns()), strict=True))


def _column(found: list[Any] | tuple[bytes, str | list[Any]]) -> Column:
    import numpy

    from comporta.groups import Grouping

    if isinstance(found, list):
        return found
    data, what = found
    if isinstance(what, str):
        return numpy.frombuffer(data, what)
    return Grouping(numpy.frombuffer(data, numpy.intp), what)


def _all_of(fields: Sequence[str]) -> Callable[[Row], Sequence[Any]]:
    """What takes these fields of a row. It raises `KeyError` where one is missing."""
    return itemgetter(*fields) if len(fields) > 1 else _some_of(fields)


def _some_of(fields: Sequence[str]) -> Callable[[Row], Sequence[Any]]:
    """What takes these fields of a row, None where one is missing."""
    return lambda row: list(map(row.get, fields))
