"""The times of rows, as arrays."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from comporta.columns import NO_TIME, Bad, Column, alike, converted
from comporta.event_time import EARLIEST, LATEST, TimeReader
from comporta.scalars import shown

REMEMBERED = 100_000  # distinct texts


class Times:
    """Reads columns of times; text is parsed once per distinct value, as far back as it is remembered."""

    def __init__(self, time_format: str | None) -> None:
        self._read = TimeReader(time_format).read
        self._known: dict[Any, int] = {}

    def column(self, column: Column, bad: Bad) -> NDArray[numpy.int64]:
        """Milliseconds since 1970 of each value, `NO_TIME` where there is none.

        `bad` is told the index of what cannot be understood, and why.
        """
        if isinstance(column, numpy.ndarray) and column.dtype.kind == "M":
            times = column.view(numpy.int64)
            if ((times == NO_TIME) | ((times >= EARLIEST) & (times <= LATEST))).all():
                return times
        groups = alike(column)
        return numpy.array(converted(groups, self._time, NO_TIME, bad), numpy.int64)[groups.indexes]

    def _time(self, value: Any) -> int:
        is_text = isinstance(value, (str, bytes))
        if is_text and value in self._known:
            return self._known[value]
        try:
            read = self._read(value)
        except (OverflowError, TypeError) as error:  # TypeError: a time zone without an offset
            raise ValueError(f"time {shown(value)} cannot be used: {error}") from None
        time = NO_TIME if read is None else read
        if is_text:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[value] = time
        return time
