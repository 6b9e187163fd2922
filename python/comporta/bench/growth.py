"""How the throughput of Comporta grows with what there is more of: curves, each along one quantity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from comporta import pictures
from comporta.bench.job import Shape
from comporta.bench.rows import Measured, Plan
from comporta.bench.suite import Outcome
from comporta.bench.topics import Load

COLUMNS = 3  # of pictures


class Curve(NamedTuple):
    """What there is more of, and what is measured for each amount of it."""

    along: str
    points: dict[int, Measured]


def _bytes(length: int) -> Load:
    """Lines of so many bytes, 250 MB of them where a million lines are asked for, in batches of 1 MB."""
    return Load(Shape(length=length), each=max(1, 1_000_000 // length), share=250 / length)


CURVES = (
    Curve(
        "workers, a transform of 50 µs a line",
        {n: Measured("comporta-slow", Load(share=0.2), n) for n in (1, 2, 4)},
    ),
    Curve("partitions", {n: Measured("comporta", Load(partitions=n)) for n in (1, 2, 4, 8, 16)}),
    Curve(
        "records in a record batch",
        {n: Measured("comporta", Load(each=n, share=0.5)) for n in (1, 10, 100, 1000, 10_000)},
    ),
    Curve(
        "groups",
        {n: Measured("comporta-groups", Load(Shape(paths=n))) for n in (10, 1000, 100_000, 1_000_000)},
    ),
    Curve("bytes of a line", {n: Measured("comporta", _bytes(n)) for n in (250, 1000, 10_000, 100_000)}),
    Curve(
        "backlog, % of the lines asked for",
        {n: Measured("comporta", Load(share=n / 100)) for n in (25, 100, 400)},
    ),
)


def plan() -> Plan:
    """What is to be run for all curves, in order, each once."""
    measured = [point for curve in CURVES for point in curve.points.values()]
    return Plan((), list(dict.fromkeys(measured)), ())


def found(outcome: Outcome) -> list[dict[str, Any]]:
    """Each curve with the lines a second of its points; None where runs failed."""
    return [
        {
            "along": curve.along,
            "points": [[amount, outcome.taken[point].rate] for amount, point in curve.points.items()],
        }
        for curve in CURVES
    ]


def write(outcome: Outcome, folder: Path) -> bool:
    """Write `growth.json` and `growth.svg`; False where there is no picture, for want of matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = found(outcome)
    whole = outcome.settings.summary() | {"curves": curves}
    (folder / "growth.json").write_text(json.dumps(whole, indent=2) + "\n")
    rows = -(-len(curves) // COLUMNS)
    figure = pictures.figure(12, 3.2 * rows)
    if figure is None:
        return False
    for place, curve in enumerate(curves, 1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        points = [(amount, rate) for amount, rate in curve["points"] if rate is not None]
        axes.plot(*zip(*points, strict=True), "o-", color="#1f6fb4", markersize=4)
        axes.set_xscale("log")
        axes.set_xticks([amount for amount, _ in points], [f"{amount:,}" for amount, _ in points])
        axes.minorticks_off()
        axes.set_ylim(0, 1.1 * max((rate for _, rate in points), default=1))
        axes.set_xlabel(curve["along"], fontsize=9)
        axes.set_ylabel("lines a second", fontsize=9)
        axes.tick_params(labelsize=7)
    figure.savefig(folder / "growth.svg", format="svg")
    return True
