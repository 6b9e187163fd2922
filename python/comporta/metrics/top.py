"""Which values are the most frequent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union

from comporta import options
from comporta.metrics.contract import Metric, Takes

if TYPE_CHECKING:  # imported where it is used: it brings numpy, which costs every process 0.1 s
    from datasketches import frequent_strings_sketch

    from comporta.groups import Grouping

LG_MAX = 12
EXACT = 3 * 2**LG_MAX // 4  # as many different values as the sketch holds before it forgets any
MOST = 1000  # items shown
LONGEST_ITEM = 4096  # bytes; as many as are held of them must fit into one row of a store

Frequent = Union["Counter[str]", "frequent_strings_sketch"]


class Top(Metric[Frequent]):
    """The most frequent values of the field `of`, each with how often it came.

    `k` is how many are shown (default 10, at most 1,000). Exact while there are up to 3,072 different values.
    Beyond that, an item's true number lies between `lower` and `upper`, which are at most 0.1% of all rows
    apart, and every value more frequent than that is found. Any value that can be grouped by can be an item,
    up to 4 KiB. Rows in which the field is missing or null are skipped. `by`, `every` and errors are those of
    `count`. The value is a list of {"item", "estimate", "lower", "upper"}, the most frequent first.

    Kept as a map, then in a frequent items sketch of 4,096 slots (Daniel Anderson et al., "A High-Performance
    Algorithm for Identifying Frequent Items in Data Streams", 2017; Apache DataSketches).

        c.top("pages", of="path", k=50, every="1h")
    """

    kind = "top"
    takes = Takes.TEXTS
    longest = LONGEST_ITEM
    note = (
        "exact up to 3,072 different values, beyond that lower and upper are at most 0.1% of all rows apart"
    )

    def __init__(
        self, name: str, *, of: str, k: int = 10, by: str | Iterable[str] = (), every: str | None = None
    ) -> None:
        super().__init__(name, of=of, by=by, every=every)
        self.k: int = options.whole(k, "k", 1, MOST)

    def batch(self, groups: Grouping, values: Grouping) -> list[Frequent]:
        counters: list[Counter[str]] = [Counter() for _ in groups.identities]
        pairs = groups.pairs(values)
        for (group, text), rows in zip(pairs.identities, pairs.sizes(), strict=True):
            counters[group][values.identities[text]] = rows
        return [_fit(counter) for counter in counters]

    def merge(self, state: Frequent, delta: Frequent) -> Frequent:
        if isinstance(state, Counter) and isinstance(delta, Counter):
            state.update(delta)
            return _fit(state)
        if isinstance(state, Counter):
            state = _sketch(state)
        if isinstance(delta, Counter):
            return _add(state, delta)
        state.merge(delta)
        return state

    def pack(self, state: Frequent) -> Any:
        return dict(state) if isinstance(state, Counter) else state.serialize()

    def unpack(self, packed: Any) -> Frequent:
        if isinstance(packed, dict):
            return Counter(packed)
        from datasketches import frequent_strings_sketch

        return frequent_strings_sketch.deserialize(packed)

    def value(self, state: Frequent) -> list[dict[str, Any]]:
        if isinstance(state, Counter):
            found = [(text, rows, rows, rows) for text, rows in state.items()]
        else:
            from datasketches import frequent_items_error_type

            found = state.get_frequent_items(frequent_items_error_type.NO_FALSE_NEGATIVES)
        found.sort(key=lambda item: (-item[1], item[0]))
        return [
            {"item": json.loads(text), "estimate": estimate, "lower": lower, "upper": upper}
            for text, estimate, lower, upper in found[: self.k]
        ]


def _fit(counter: Counter[str]) -> Frequent:
    return counter if len(counter) <= EXACT else _sketch(counter)


def _sketch(counter: Counter[str]) -> frequent_strings_sketch:
    from datasketches import frequent_strings_sketch

    return _add(frequent_strings_sketch(LG_MAX), counter)


def _add(sketch: frequent_strings_sketch, counter: Counter[str]) -> frequent_strings_sketch:
    for text, rows in counter.items():
        sketch.update(text, rows)
    return sketch
