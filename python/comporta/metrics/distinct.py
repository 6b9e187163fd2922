"""How many different values there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union

import xxhash

from comporta.metrics.contract import Metric, Takes

if TYPE_CHECKING:  # imported where it is used: it brings numpy, which costs every process 0.1 s
    from datasketches import cpc_sketch

    from comporta.groups import Grouping

LG_K = 11  # 2,048 bins
EXACT = 256  # hashes, of 9 bytes packed; a full sketch takes half as much

Seen = Union["set[int]", "cpc_sketch"]


class Distinct(Metric[Seen]):
    """Counts the different values of the field `of`: exactly up to 256, then with a standard error of 1.5%.

    So the value is within 3% for 19 of 20 groups. Any value that can be grouped by can be counted. Rows in
    which the field is missing or null are skipped. `by`, `every` and errors are those of `count`. The value
    is an int.

    Up to 256 values are kept as 64-bit hashes (XXH3), more in a CPC sketch of 2,048 bins, about 1 KiB (Kevin
    J. Lang, "Back to the Future: an Even More Nearly Optimal Cardinality Estimation Algorithm", 2017; Apache
    DataSketches).

        c.distinct("visitors", of="ip", every="1h")
    """

    kind = "distinct"
    takes = Takes.TEXTS
    note = "exact up to 256 different values, beyond that within 3% for 19 of 20 groups"

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Grouping, values: Grouping) -> list[Seen]:
        seen: list[set[int]] = [set() for _ in groups.identities]
        hashes = [xxhash.xxh3_64_intdigest(text.encode()) for text in values.identities]
        for group, text in groups.pairs(values).identities:
            seen[group].add(hashes[text])
        return [_fit(hashes) for hashes in seen]

    def merge(self, state: Seen, delta: Seen) -> Seen:
        if isinstance(state, set) and isinstance(delta, set):
            state |= delta
            return _fit(state)
        return _union(state, delta)

    def pack(self, state: Seen) -> Any:
        return sorted(state) if isinstance(state, set) else state.serialize()

    def unpack(self, packed: Any) -> Seen:
        if isinstance(packed, list):
            return set(packed)
        from datasketches import cpc_sketch

        return cpc_sketch.deserialize(packed)

    def value(self, state: Seen) -> int:
        return len(state) if isinstance(state, set) else round(state.get_estimate())


def _fit(hashes: set[int]) -> Seen:
    return hashes if len(hashes) <= EXACT else _union(hashes)


def _union(*parts: Seen) -> cpc_sketch:
    """One sketch of all. Made by union only, a sketch depends on what is in it, and not on how it was cut."""
    from datasketches import cpc_sketch, cpc_union

    union = cpc_union(LG_K)
    for part in parts:
        if isinstance(part, set):
            sketch = cpc_sketch(LG_K)
            for value in part:
                sketch.update(value - 2**63)  # the sketch takes signed integers
            union.update(sketch)
        else:
            union.update(part)
    return union.get_result()
