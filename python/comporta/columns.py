"""Columns: a field of many rows, as a transform returned it and as it is grouped and summed up.

What a transform returned is a list of Python's values; or, where it comes from Arrow, an array of numbers or
of times (`datetime64[ms]`, NaT for none), or rows grouped by the value that they have.

Each distinct value is looked at, not each value, where that can be. Functions tell `bad` the index of each
value that cannot be used, and why; what the column has there then means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, Union

import numpy
from numpy.typing import NDArray

from comporta.event_time import Milliseconds
from comporta.groups import Grouping, number, number_integers
from comporta.metrics.numbers import WHOLE
from comporta.scalars import shown, unwrapped
from comporta.values import GREATEST, NULL, canonical, plain_number, plain_texts

Column = Union["list[Any]", "NDArray[Any]", Grouping]

Bad = Callable[[int, str], None]

Converted = TypeVar("Converted")

NO_TIME = int(numpy.iinfo(numpy.int64).min)
"""What stands for no time among milliseconds in an array; numpy's NaT is the same number."""

# Among values of these types alone, Python's equality (in which True is 1) tells values apart.
COMPARABLE: tuple[set[type], ...] = ({str, int, type(None)}, {bytes, type(None)}, {bool, type(None)})


class Numbers(NamedTuple):
    """A column of finite numbers: of int64, of float64, or of Python's ints and floats.

    `present` says which rows have one; None if all do.
    """

    values: NDArray[Any]
    present: NDArray[numpy.bool_] | None = None


def alike(column: Column) -> Grouping:
    """Rows grouped by value: those in one group have the same value of the same type."""
    if isinstance(column, Grouping):
        return column
    if isinstance(column, list):
        return _alike_values(column)
    if column.dtype.kind == "M":
        groups = number_integers(column.view(numpy.int64))
        return Grouping(groups.indexes, [_moment(ticks) for ticks in groups.identities])
    if column.dtype.kind == "i":
        return number_integers(column)
    distinct, indexes = numpy.unique(column, return_inverse=True)
    return Grouping(indexes, distinct.tolist())


def values(column: Column) -> list[Any]:
    """Each row's value."""
    if isinstance(column, list):
        return column
    if isinstance(column, numpy.ndarray) and column.dtype.kind in "if":
        found: list[Any] = column.tolist()
        return found
    return alike(column).values()


def text_column(column: Column, bad: Bad) -> Grouping:
    """Rows by the canonical text of each value."""
    groups = alike(column)
    texts = plain_texts(groups.identities)
    return groups.renamed(converted(groups, canonical, NULL, bad) if texts is None else texts)


def converted(
    groups: Grouping, convert: Callable[[Any], Converted], instead: Converted, bad: Bad
) -> list[Converted]:
    """What each group's identity is converted to; `instead` of one that is refused, by a `ValueError`."""
    found: list[Converted] = []
    wrong: dict[int, str] = {}
    for group, identity in enumerate(groups.identities):
        try:
            found.append(convert(identity))
        except ValueError as error:
            found.append(instead)
            wrong[group] = str(error)
    tell(bad, groups, wrong)
    return found


def number_column(column: Column, bad: Bad) -> Numbers:
    """Each value as a finite number, where there is one."""
    if (
        isinstance(column, numpy.ndarray)
        and column.dtype.kind in "if"
        and (column.dtype.kind == "i" or numpy.isfinite(column).all())
    ):
        return Numbers(column)
    if isinstance(column, Grouping):
        wrong: dict[int, str] = {}
        distinct = number_column(column.identities, wrong.__setitem__)
        tell(bad, column, wrong)
        present = None if distinct.present is None else distinct.present[column.indexes]
        return Numbers(distinct.values[column.indexes], present)
    found = values(column)
    numbers = _numbers(found)
    if numbers is None:
        numbers = _numbers([_number_or_bad(index, value, bad) for index, value in enumerate(found)])
        assert numbers is not None, "each was found to be finite"
    return numbers


def tell(bad: Bad, groups: Grouping, wrong: Mapping[int, str]) -> None:
    """Tell `bad` of the rows in groups that are wrong, and why each is."""
    if wrong:
        for row, group in enumerate(groups.indexes.tolist()):
            if group in wrong:
                bad(row, wrong[group])


def _alike_values(column: list[Any]) -> Grouping:
    kinds = set(map(type, column))
    try:
        if any(kinds <= comparable for comparable in COMPARABLE):
            return number(column)
        groups = number(list(zip(map(type, column), column, strict=True)))
    except TypeError:  # something that has no hash: a list, say
        return Grouping(numpy.arange(len(column)), column)
    return Grouping(groups.indexes, [value for _, value in groups.identities])


def _moment(ticks: int) -> Milliseconds | None:
    return None if ticks == NO_TIME else Milliseconds(ticks)


def _numbers(found: Sequence[Any]) -> Numbers | None:
    """A column of ints, floats and None; None where anything else, or what is not finite, is among them."""
    kinds = set(map(type, found))
    if type(None) in kinds:
        kinds.remove(type(None))
        present = numpy.fromiter((value is not None for value in found), numpy.bool_, len(found))
        found = [0 if value is None else value for value in found]
    else:
        present = None
    if not kinds <= {int, float}:
        return None
    array = _array(kinds, found)
    return None if array is None else Numbers(array, present)


def _array(kinds: set[type], found: Sequence[int | float]) -> NDArray[Any] | None:
    """Ints and floats as an array, which is of floats where all integers among them are floats, too."""
    if float not in kinds:
        try:
            return numpy.array(found, numpy.int64)
        except OverflowError:
            pass
    elif kinds == {float} or max(abs(value) for value in found if type(value) is int) <= WHOLE:
        floats = numpy.array(found, numpy.float64)
        return floats if numpy.isfinite(floats).all() else None
    if all(-GREATEST < value < GREATEST for value in found):
        return numpy.array(found, numpy.object_)
    return None


def _number_or_bad(index: int, value: Any, bad: Bad) -> int | float | None:
    try:
        value = unwrapped(value)
        if value is None:
            return None
        number = plain_number(value)
        if not -GREATEST < number < GREATEST:
            raise ValueError(f"{shown(number)} is not a finite number; return None where there is no value")
    except ValueError as error:
        bad(index, str(error))
        return None
    return number
