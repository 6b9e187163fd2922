"""How a number is distributed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from comporta.metrics.contract import Metric, Takes

if TYPE_CHECKING:  # imported where it is used: it brings numpy, which costs every process 0.1 s
    from datasketches import kll_doubles_sketch
    from numpy.typing import NDArray

    from comporta.groups import Grouping

# At the library's 200, ranks are off by up to 1.3%: "0.99" could be anything from 0.977 to the maximum.
K = 400
RANKS = (0.5, 0.9, 0.95, 0.99, 0.999)


class Quantiles(Metric["kll_doubles_sketch"]):
    """Quantiles of the field `of`: exact for up to 400 values, beyond that their rank is within 0.7%.

    So the value at "0.9" is one between the true 0.893 and 0.907 quantiles, in 99 of 100 cases. A quantile is
    the least value that at least that share of all is not above. Rows in which the field is missing or null
    are skipped. `by`, `every` and errors are those of `count`. The value is a map from "0.5", "0.9", "0.95",
    "0.99" and "0.999" to floats.

    Kept in a KLL sketch with k = 400, up to 10 KiB (Zohar Karnin, Kevin Lang, Edo Liberty, "Optimal Quantile
    Approximation in Streams", 2016; Apache DataSketches).

        c.quantiles("latency", of="ms", every="1m")
    """

    kind = "quantiles"
    takes = Takes.NUMBERS
    note = "exact up to 400 values, beyond that ranks are within 0.7% in 99 of 100 cases"

    def __init__(self, name: str, *, of: str, by: str | Iterable[str] = (), every: str | None = None) -> None:
        super().__init__(name, of=of, by=by, every=every)

    def batch(self, groups: Grouping, values: NDArray[Any]) -> list[kll_doubles_sketch]:
        import numpy
        from datasketches import kll_doubles_sketch

        sketches = [kll_doubles_sketch(K) for _ in groups.identities]
        for sketch, numbers in zip(sketches, groups.split(values.astype(numpy.float64)), strict=True):
            sketch.update(numbers)
        return sketches

    def merge(self, state: kll_doubles_sketch, delta: kll_doubles_sketch) -> kll_doubles_sketch:
        state.merge(delta)
        return state

    def pack(self, state: kll_doubles_sketch) -> bytes:
        packed: bytes = state.serialize()
        return packed

    def unpack(self, packed: Any) -> kll_doubles_sketch:
        from datasketches import kll_doubles_sketch

        return kll_doubles_sketch.deserialize(packed)

    def value(self, state: kll_doubles_sketch) -> dict[str, float]:
        return {str(rank): state.get_quantile(rank, inclusive=True) for rank in RANKS}
