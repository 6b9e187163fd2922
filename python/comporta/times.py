"""The times of rows, as arrays."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from comporta.columns import NO_TIME, Bad, Column, alike, tell
from comporta.event_time import EARLIEST, LATEST, TimeReader

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
        wrong: dict[int, str] = {}
        found = numpy.full(len(groups.identities), NO_TIME, numpy.int64)
        for index, value in enumerate(groups.identities):
            try:
                found[index] = self._time(value)
            except (ValueError, OverflowError) as error:
                wrong[index] = str(error)
        tell(bad, groups, wrong)
        return found[groups.indexes]

    def _time(self, value: Any) -> int:
        if not isinstance(value, (str, bytes)):
            time = self._read(value)
            return NO_TIME if time is None else time
        if value not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[value] = self._read(value) or 0
        return self._known[value]
