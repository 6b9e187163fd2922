"""What a run found, as data and as a page with pictures."""

from __future__ import annotations

import html
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from comporta import pictures
from comporta.bench.suite import Outcome, Taken
from comporta.bench.topics import Load

PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>comporta bench</title>
<style>body {{ font: 15px sans-serif; max-width: 70em; margin: 2em auto }}
table {{ border-collapse: collapse; margin: 1em 0 }} td, th {{ padding: .3em .8em; border: 1px solid #ccc }}
td {{ text-align: right }} td:first-child {{ text-align: left }} svg {{ max-width: 100% }}</style></head>
<body><h1>comporta bench</h1><p>{about}</p>
{parts}</body></html>
"""


def as_json(outcome: Outcome) -> dict[str, object]:
    """Everything that is known of a run."""
    return outcome.settings.summary() | {
        "systems": [
            {"system": each.system, "load": each.load.name} | taken.summary()
            for each, taken in outcome.taken.items()
        ],
        "figures": {f"{each.probe} {each.figure}": value for each, value in outcome.figures.items()},
        "failures": outcome.failures,
    }


def write(outcome: Outcome, folder: Path) -> bool:
    """Write `latest.json`, a run's rows of the table, `run.json`, all that is known of it, and `report.html`.

    False where the page has no pictures, as matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in (("latest.json", outcome.rows), ("run.json", as_json(outcome))):
        (folder / name).write_text(json.dumps(found, indent=2) + "\n")
    drawn = [_drawn(load, found) for load, found in _by_load(outcome).items()]
    (folder / "report.html").write_text(_page(outcome, [each for each in drawn if each]))
    return all(each is not None for each in drawn)


def _by_load(outcome: Outcome) -> dict[Load, list[Taken]]:
    found: defaultdict[Load, list[Taken]] = defaultdict(list)
    for each, taken in outcome.taken.items():
        if taken.rate:
            found[each.load].append(taken)
    return found


def _page(outcome: Outcome, drawn: Sequence[str]) -> str:
    settings = outcome.settings
    about = (
        f"{settings.lines:,} lines, seed {settings.seed}, {settings.rounds} rounds, {settings.cores} cores"
    )
    rows = [[_cell(value) for value in row.values()] for row in outcome.rows]
    parts = [_table(["row", "value", "against", "ratio", "target", "met"], rows), *drawn]
    columns = ["system", "load", "lines/s", "spread", "CPU s a million lines", "peak MB", "failure"]
    parts.append(_table(columns, [list(map(_cell, row)) for row in table(outcome)]))
    return PAGE.format(about=about, parts="\n".join(parts))


def table(outcome: Outcome) -> list[list[str | int | float | None]]:
    """Of each system and load: names, lines a second, spread, CPU, memory, and what went wrong."""
    rows: list[list[str | int | float | None]] = []
    for each, taken in outcome.taken.items():
        found = taken.summary()
        rows.append(
            [
                taken.title,
                each.load.name,
                taken.rate and round(taken.rate),
                _rounded(found.get("spread"), 3),
                _rounded(found.get("cpu_seconds_a_million"), 2),
                _rounded(found.get("peak_bytes"), 0, 1e6),
                taken.failure,
            ]
        )
    rows += [[name, None, None, None, None, None, why] for name, why in outcome.failures.items()]
    return rows


def _rounded(value: object, digits: int, unit: float = 1.0) -> float | int | None:
    if not isinstance(value, (int, float)):
        return None
    return round(value / unit, digits) if digits else round(value / unit)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", line("th", columns), *(line("td", row) for row in rows), "</table>"])


def _drawn(load: Load, found: Sequence[Taken]) -> str | None:
    """Rates of the systems that counted a load, each run a dot, their CPU and their memory, as SVG."""
    figure = pictures.figure(12, 1.5 + 0.4 * len(found))
    if figure is None:
        return None
    names = [taken.title for taken in found]
    about = {
        "lines a second": [taken.rate for taken in found],
        "CPU seconds a million lines": [taken.summary()["cpu_seconds_a_million"] for taken in found],
        "peak memory, MB": [max(taken.peak) / 1e6 for taken in found],
    }
    for axes, (title, values) in zip(figure.subplots(1, 3, sharey=True), about.items(), strict=True):
        axes.barh(names, values, color="#1f6fb4")
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8)
        if title == "lines a second":
            for number, taken in enumerate(found):
                axes.plot(taken.rates, [number] * len(taken.rates), "o", color="#d62728", markersize=3)
    figure.suptitle(load.name, fontsize=10)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    text = drawn.getvalue()
    return text[text.index("<svg") :]
