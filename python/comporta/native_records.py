"""Records in native columns, which become Python's objects, or Arrow's buffers, when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain

from comporta.buffers import Buffers
from comporta.event_time import LATEST
from comporta.native import native
from comporta.records import Batch, Decoded, Header, lines_inside

PART = 256
"""Values that are made at a time: they are still in the processor's cache when a transform gets them."""


class NativeRecords(Decoded):
    """Records that are such columns."""

    def __init__(self, batch: Batch, columns: native.Columns) -> None:
        super().__init__(batch, ())
        self._columns = columns

    @cached_property
    def values(self) -> Sequence[bytes | None]:
        return self._columns.values(0, self.count)

    def each(self) -> Iterable[bytes | None]:
        parts = range(0, self.count, PART)
        return chain.from_iterable(self._columns.values(begin, begin + PART) for begin in parts)

    @property
    def count(self) -> int:
        return len(self._columns)

    @property
    def middle(self) -> int | None:
        half = self.count // 2
        return self.offsets[half] if half else None

    @cached_property
    def offsets(self) -> Sequence[int]:
        return memoryview(self._columns.offsets()).cast("q")

    @property
    def ends(self) -> Sequence[int]:
        return [offset + 1 for offset in self.offsets]

    @property
    def keys(self) -> Sequence[bytes | None]:
        return self._columns.keys()

    @property
    def headers(self) -> Sequence[list[Header]]:
        return self._columns.headers()

    @property
    def timestamps(self) -> Sequence[int | None]:
        return self._columns.timestamps(LATEST)

    @property
    def buffers(self) -> Buffers:
        columns = self._columns
        lists, header_count, names, values = columns.header_buffers()
        return Buffers(
            value=columns.value_buffers(),
            key=columns.key_buffers(),
            timestamp=columns.timestamp_buffers(LATEST),
            offset=(0, None, columns.offsets()),
            headers=lists,
            header_count=header_count,
            header_names=names,
            header_values=values,
        )


class NativeLines(NativeRecords):
    """Lines of a file, up to the offset `end`."""

    def __init__(self, batch: Batch, columns: native.Columns, end: int) -> None:
        super().__init__(batch, columns)
        self._end = end

    @property
    def ends(self) -> Sequence[int]:
        return [*self.offsets[1:], self._end][: self.count]


def lines_natively(batch: Batch, payload: bytes | memoryview) -> NativeLines | None:
    """The lines that are in the batch's range; None where they must be cut in Python."""
    if native is None:
        return None
    text = bytes(payload)
    begin, end = lines_inside(batch, text)
    columns = native.lines(text[begin:end], batch.base + begin)
    return None if columns is None else NativeLines(batch, columns, batch.base + end)
