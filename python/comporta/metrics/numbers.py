"""Exact arithmetic on finite numbers.

Every finite float is an integer times a power of two, and so is any sum of them. Sums kept in that form are
exact at any size, whatever the order of adding, and are rounded only once: when they are shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Number = int | float

WHOLE = 2**53
"""Up to that, every integer is a float, and floats that are whole add up exactly."""


class Exact(NamedTuple):
    """The number numerator / 2**scale, `scale` being as small as it can, and not below zero."""

    numerator: int
    scale: int

    def plus(self, other: Exact) -> Exact:
        """The sum of both."""
        if not self.scale and not other.scale:
            return Exact(self.numerator + other.numerator, 0)
        scale = max(self.scale, other.scale)
        ours = self.numerator << (scale - self.scale)
        theirs = other.numerator << (scale - other.scale)
        return reduced(ours + theirs, scale)

    def rounded(self) -> Number:
        """The number as an int where it is whole, else as the nearest float."""
        return self.over(1) if self.scale else self.numerator

    def over(self, count: int) -> Number:
        """The number divided by `count`, as the nearest float; beyond what a float can say, as an int."""
        divisor = count << self.scale
        try:
            return self.numerator / divisor
        except OverflowError:
            return self.numerator // divisor


ZERO = Exact(0, 0)


def reduced(numerator: int, scale: int) -> Exact:
    """numerator / 2**scale in its smallest form."""
    if not scale or not numerator:
        return Exact(numerator, 0)
    shift = min(scale, (numerator & -numerator).bit_length() - 1)
    return Exact(numerator >> shift, scale - shift)


def exact_sum(values: Sequence[Number]) -> Exact:
    """The sum of finite ints and floats, exactly.

    `math.fsum` rounds the exact sum once. What it rounded off is the sum of the same values less the result,
    and so on, until nothing is left: mostly after one or two rounds, all of them in C.
    """
    total = Exact(sum(value for value in values if isinstance(value, int)), 0)
    floats = [value for value in values if isinstance(value, float)]
    if not floats:
        return total
    parts: list[float] = []
    try:
        while part := math.fsum([*floats, *(-part for part in parts)]):
            parts.append(part)
    except OverflowError:  # a sum on the way is more than a float can say
        parts = floats
    for part in parts:
        total = total.plus(_exact(part))
    return total


def _exact(value: float) -> Exact:
    numerator, denominator = value.as_integer_ratio()
    return Exact(numerator, denominator.bit_length() - 1)


def plain(value: Number) -> Number:
    """A number in the one form that equal numbers have: an int where it is whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def pack_number(value: Number) -> Number | str:
    """A number as msgpack holds it: an int beyond 64 bits is hexadecimal text."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return f"{value:x}"
    return value


def unpack_number(packed: Number | str) -> Number:
    """The number that `pack_number` packed."""
    return int(packed, 16) if isinstance(packed, str) else packed
