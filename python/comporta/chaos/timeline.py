"""A picture of a trial: throughput over time, with the faults marked on it."""

from __future__ import annotations

from pathlib import Path

from comporta import pictures
from comporta.chaos.trial import Trial

SMOOTHED = 5  # samples over which a rate is taken


def draw(trial: Trial, path: Path) -> bool:
    """Write the timeline as SVG. False where matplotlib, which draws it, is not installed."""
    figure = pictures.figure(12, 5)
    if figure is None:
        return False
    axes = figure.add_subplot()
    for name, colour, which in (("acknowledged", "#999999", 1), ("durable", "#1f6fb4", 2)):
        times, rates = _rates(trial, which)
        axes.plot(times, rates, color=colour, label=name, linewidth=1.4)
    top = axes.get_ylim()[1]
    for number, injection in enumerate(trial.injections):
        end = injection.recovered if injection.recovered is not None else injection.healed
        axes.axvspan(injection.began, max(end, injection.began + 0.1), color="#d62728", alpha=0.15)
        after = "never" if injection.recovery_ms is None else f"{injection.recovery_ms / 1000:.1f} s"
        axes.annotate(
            f"{injection.fault} ({after})",
            (injection.began, top * (0.95 - 0.06 * (number % 6))),
            fontsize=7,
            rotation=0,
        )
    axes.set_xlabel("seconds")
    axes.set_ylabel("events a second")
    axes.set_ylim(bottom=0)
    outcome = "holds" if trial.holds else "does not hold"
    axes.set_title(f"{trial.workload} on {trial.system}, seed {trial.seed}: {outcome}", fontsize=10)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path)
    return True


def _rates(trial: Trial, which: int) -> tuple[list[float], list[float]]:
    """Times, and the rate of what rises around each of them."""
    known = [(sample.at, sample[which]) for sample in trial.samples if sample[which] is not None]
    times, rates = [], []
    for (before, less), (after, more) in zip(known, known[SMOOTHED:], strict=False):
        times.append((before + after) / 2)
        rates.append(max(0.0, (more - less) / (after - before)))  # type: ignore[operator]
    return times, rates
