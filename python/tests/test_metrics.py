from __future__ import annotations

import json
import math
import random
from collections import Counter
from fractions import Fraction
from itertools import chain, pairwise
from typing import Any

import pytest
from batches import states
from hypothesis import given, settings
from hypothesis import strategies as st

import comporta as c
from comporta.errors import DefinitionError
from comporta.metrics import KINDS, Metric, from_definition
from comporta.metrics.numbers import Exact, exact_sum, pack_number, unpack_number
from comporta.payloads import pack, unpack
from comporta.values import canonical

METRICS: list[Metric[Any]] = [
    c.count("count", by="a", every="1m"),
    c.sum("sum", of="x"),
    c.min("min", of="x"),
    c.max("max", of="x", by=["a", "b"]),
    c.mean("mean", of="x"),
    c.distinct("distinct", of="x"),
    c.quantiles("quantiles", of="x"),
    c.top("top", of="x", k=7, every="90s"),
]
NUMBERS = st.integers() | st.integers(-100, 100) | st.floats(allow_nan=False, allow_infinity=False)


def state(metric: Metric[Any], values: list[Any]) -> Any:
    """The state of one group, after a trip through its packed form."""
    [made] = states(metric, [0] * len(values), values)
    return metric.unpack(unpack(pack(metric.pack(made))))


def shown(metric: Metric[Any], made: Any) -> Any:
    """A result as `query` prints it."""
    return json.loads(json.dumps(metric.value(made)))


def expected(kind: str, values: list[Any]) -> Any:
    """The result, worked out in the most obvious way."""
    exact = [Fraction(value) for value in values]
    if kind == "count":
        return len(values)
    if kind == "sum":
        return float_or_int(sum(exact, Fraction()))
    if kind == "mean":
        return nearest(sum(exact, Fraction()) / len(exact))
    if kind in ("min", "max"):
        return min(values) if kind == "min" else max(values)
    if kind == "distinct":
        return len(set(values))
    if kind == "quantiles":
        ranks = sorted(map(float, values))
        return {
            str(rank): ranks[math.ceil(Fraction(str(rank)) * len(ranks)) - 1]
            for rank in (0.5, 0.9, 0.95, 0.99, 0.999)
        }
    counted = Counter(map(canonical, values)).most_common()
    ordered = sorted(counted, key=lambda item: (-item[1], item[0]))[:7]
    return [{"item": json.loads(t), "estimate": n, "lower": n, "upper": n} for t, n in ordered]


def float_or_int(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else nearest(value)


def nearest(value: Fraction) -> int | float:
    try:
        return float(value)
    except OverflowError:
        return math.floor(value)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.kind)
@settings(deadline=None)
@given(
    values=st.lists(NUMBERS, min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    data=st.data(),
)
def test_however_a_batch_is_cut_the_result_is_the_obvious_one(
    metric: Metric[Any], values: list[Any], cuts: list[int], data: st.DataObject
) -> None:
    bounds = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    parts = [state(metric, values[a:b]) for a, b in pairwise(bounds)]
    parts = data.draw(st.permutations(parts))
    total = parts[0]
    for part in parts[1:]:
        before = metric.pack(part)
        total = metric.merge(total, part)
        assert metric.pack(part) == before
    assert shown(metric, total) == expected(metric.kind, values)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.kind)
def test_merging_in_any_grouping_is_the_same(metric: Metric[Any]) -> None:
    parts = [[1, 2.5, 3], [2, -7.25], [10**30, 3]]

    def made() -> list[Any]:
        return [state(metric, values) for values in parts]

    a, b, d = made()
    left = metric.merge(metric.merge(a, b), d)
    a, b, d = made()
    right = metric.merge(a, metric.merge(b, d))
    assert shown(metric, left) == shown(metric, right) == expected(metric.kind, list(chain(*parts)))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.kind)
def test_each_group_has_its_own_state(metric: Metric[Any]) -> None:
    groups, values = [0, 1, 0, 2, 1, 0], [5, 6, 7, 8.5, 6, 5]
    for group, made in enumerate(states(metric, groups, values)):
        own = [value for index, value in zip(groups, values, strict=True) if index == group]
        assert shown(metric, made) == expected(metric.kind, own)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.kind)
def test_a_metric_comes_back_from_its_definition(metric: Metric[Any]) -> None:
    definition = metric.definition()
    assert definition["kind"] == metric.kind
    again = from_definition(json.loads(json.dumps(definition)))
    assert type(again) is KINDS[metric.kind]
    assert again.definition() == definition


def test_what_is_approximate_says_so() -> None:
    assert {metric.kind for metric in METRICS if metric.note} == {"distinct", "quantiles", "top"}


def test_a_definition_that_no_metric_has_is_refused() -> None:
    definition = METRICS[0].definition()
    with pytest.raises(DefinitionError, match="sixth"):
        from_definition({**definition, "kind": "sixth"})


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers()))
def test_sums_are_exact(values: list[int | float]) -> None:
    total = exact_sum(values)
    assert Fraction(total.numerator, 2**total.scale) == sum(map(Fraction, values), Fraction())
    assert total.scale == 0 or total.numerator % 2 == 1


def test_sums_that_floats_lose() -> None:
    assert exact_sum([1e16, 1.0, -1e16]).rounded() == 1
    assert exact_sum([0.1] * 10).rounded() == 1.0
    assert exact_sum([2**70, 1]).rounded() == 2**70 + 1
    assert exact_sum([1e308, 1e308]).rounded() == 2 * int(1e308)
    assert exact_sum([5e-324, 1e308, -1e308]) == Exact(1, 1074)


@given(
    st.integers()
    | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
    | st.floats(allow_nan=False)
)
def test_numbers_of_any_size_are_packed(value: int | float) -> None:
    assert unpack_number(unpack(pack(pack_number(value)))) == value


def test_distinct_of_many_is_within_what_it_says() -> None:
    metric = c.distinct("visitors", of="ip")
    for count in (256, 257, 1000, 20_000):
        [made] = states(metric, [0] * count, [f"10.0.{n}" for n in range(count)])
        assert metric.value(made) == pytest.approx(count, rel=0 if count <= 256 else 0.06)
        assert len(pack(metric.pack(made))) < 2500


def test_distinct_does_not_depend_on_the_cuts() -> None:
    metric = c.distinct("visitors", of="ip")
    values = [f"10.0.{n % 3000}" for n in range(6000)]
    packed = set()
    for size in (10, 300, 2500, 6000):
        parts = [state(metric, values[at : at + size]) for at in range(0, len(values), size)]
        random.Random(size).shuffle(parts)
        total = parts.pop()
        while parts:
            total = metric.merge(total, parts.pop())
        packed.add(pack(metric.pack(total)))
    assert len(packed) == 1


def test_quantiles_of_many_are_within_what_they_say() -> None:
    metric = c.quantiles("latency", of="ms")
    values = list(range(50_000))
    random.Random(1).shuffle(values)
    total = state(metric, values[:700])
    for at in range(700, len(values), 700):
        total = metric.merge(total, state(metric, values[at : at + 700]))
    for rank, value in metric.value(total).items():
        assert value / len(values) == pytest.approx(float(rank), abs=0.02)
    assert len(metric.pack(total)) < 12_000


def test_top_of_many_is_within_what_it_says() -> None:
    metric = c.top("pages", of="path", k=20)
    true = Counter({f"/{n}": 10_000 // n for n in range(1, 9000)})
    values = list(true.elements())
    random.Random(1).shuffle(values)
    total = state(metric, values[:20_000])
    for at in range(20_000, len(values), 20_000):
        total = metric.merge(total, state(metric, values[at : at + 20_000]))
    found = metric.value(total)
    assert len(found) == 20
    assert {item["item"] for item in found[:10]} == {f"/{n}" for n in range(1, 11)}
    for item in found:
        assert item["lower"] <= true[item["item"]] <= item["upper"]
        assert item["upper"] - item["lower"] <= 0.001 * len(values)


def test_top_merges_many_with_few() -> None:
    metric = c.top("pages", of="path", k=1)
    many = [f"/{n}" for n in range(4000)]
    few = ["/7"] * 50
    for first, second in ((many, few), (few, many), (many, many + few)):
        [found] = metric.value(metric.merge(state(metric, first), state(metric, second)))
        assert found["item"] == "/7"
        assert found["lower"] <= (first + second).count("/7") <= found["upper"]


def test_items_of_top_come_back_as_the_values_that_they_were() -> None:
    metric = c.top("pages", of="path")
    values = [True, True, True, 1, 1, "1"]
    assert [item["item"] for item in metric.value(state(metric, values))] == [True, 1, "1"]
