"""Metrics: a contract, and a module for each kind."""

from __future__ import annotations

from typing import Any

from comporta.errors import DefinitionError
from comporta.metrics.contract import Metric, MetricDefinition
from comporta.metrics.count import Count
from comporta.metrics.distinct import Distinct
from comporta.metrics.extremes import Max, Min
from comporta.metrics.mean import Mean
from comporta.metrics.quantiles import Quantiles
from comporta.metrics.sum import Sum
from comporta.metrics.top import Top

KINDS: dict[str, type[Metric[Any]]] = {
    kind.kind: kind for kind in (Count, Sum, Min, Max, Mean, Distinct, Quantiles, Top)
}


def from_definition(definition: MetricDefinition) -> Metric[Any]:
    """The metric that `Metric.definition` described. Raises `DefinitionError` for what no metric can be."""
    kind = KINDS.get(definition["kind"])
    if kind is None:
        raise DefinitionError(
            f"the metric {definition['name']!r} is of the kind {definition['kind']!r}, which this Comporta"
            f" does not have; it has {', '.join(KINDS)}"
        )
    every = definition["every"]
    arguments: dict[str, Any] = {
        "of": definition["of"],
        "by": definition["by"],
        "every": None if every is None else f"{every}s",
        "k": definition["k"],
    }
    given = {option: value for option, value in arguments.items() if value is not None}
    return kind(definition["name"], **given)
