"""Each workload's own pipeline passes its check, and the check finds whatever differs, in each metric."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import comporta as c
from comporta.chaos import catalogue
from comporta.chaos.judge import judge
from comporta.chaos.results import Group, Results
from comporta.chaos.workload import Workload
from comporta.chaos.workloads.rows import Rows

MOST = {"large": 16, "slow": 150}  # events: these take long
WORKLOADS = list(catalogue.all_workloads().values())


class Answers:
    """What a pipeline would say that has counted what `run` has."""

    def __init__(self, run: c.testing.Run) -> None:
        self.run = run
        self.rows = [dict(row) for row in run.rows]
        self.metrics = {
            metric.name: {_shown(group): value for group, value in run.values(metric.name).items()}
            for metric in run.pipeline.metrics
        }

    def values(self, metric: str) -> dict[Group, Any]:
        return dict(self.metrics[metric])

    def ledger(self) -> list[dict[str, Any]]:
        outcome = self.run.outcome
        ends = {
            name: getattr(outcome, name) for name in ("consumed", "counted", "dropped", "duplicates", "dead")
        }
        return [{"balanced": True, "in_flight": 0, **ends}]

    def letters(self) -> list[Any]:
        return cast("list[Any]", self.run.letters)

    def output_rows(self) -> list[dict[str, Any]]:
        return [{"row": row} for row in self.rows]


@pytest.fixture(params=WORKLOADS, ids=lambda workload: workload.name)
def workload(request: pytest.FixtureRequest) -> Workload:
    found: Workload = request.param()
    return found


def run(workload: Workload, folder: Path, count: int) -> tuple[range, c.testing.Run]:
    """The first events of a workload, and what its pipeline makes of them."""
    file = folder / f"{workload.name}.py"
    file.write_text(workload.code)
    numbers = range(min(count, MOST.get(workload.name, count)))
    return numbers, c.testing.run(str(file), (workload.event(number).value for number in numbers))


def breaches(workload: Workload, numbers: range, answers: Answers) -> list[str]:
    verdict = judge(workload, numbers, [], cast(Results, answers))
    return [*([] if verdict.is_conserved else ["events"]), *verdict.breaches]


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # to which each file's folder is added


def test_what_the_pipeline_makes_of_the_events_is_right(workload: Workload, tmp_path: Path) -> None:
    numbers, done = run(workload, tmp_path, 25_000)
    assert breaches(workload, numbers, Answers(done)) == []
    assert done.outcome.counted > len(numbers) / 2


def test_whatever_differs_is_found(workload: Workload, tmp_path: Path) -> None:
    numbers, done = run(workload, tmp_path, 1_000)
    for metric in done.pipeline.metrics:
        changed, missing = Answers(done), Answers(done)
        groups = list(changed.metrics[metric.name])
        changed.metrics[metric.name][groups[0]] = _changed(changed.metrics[metric.name][groups[0]])
        del missing.metrics[metric.name][groups[-1]]
        for answers in (changed, missing):
            assert breaches(workload, numbers, answers), f"{metric.name}: {answers.metrics[metric.name]}"


@pytest.mark.parametrize(
    "rows",
    [
        lambda rows: rows[1:],
        lambda rows: [*rows, rows[-1]],
        lambda rows: [{**rows[0], "text": None}, *rows[1:]],
        lambda rows: [{**rows[0], "lot": rows[0]["lot"] + 1}, *rows[1:]],
    ],
    ids=["missing", "doubled", "changed", "of another run"],
)
def test_rows_that_differ_are_found(tmp_path: Path, rows: Callable[[Any], Any]) -> None:
    workload = Rows()
    numbers, done = run(workload, tmp_path, 100)
    answers = Answers(done)
    answers.rows = rows(answers.rows)
    assert breaches(workload, numbers, answers)


def _changed(value: Any) -> Any:
    if isinstance(value, dict):
        return {rank: _changed(number) for rank, number in value.items()}
    if isinstance(value, list):
        return [
            {name: _changed(part) if name == "lower" else part for name, part in value[0].items()},
            *value[1:],
        ]
    return value * 1.5 + 1


def _shown(group: Group) -> Group:
    """A group as `Results.values` has it."""
    start, *values = group
    return (*([start.isoformat().replace("+00:00", "Z")] if start else []), *values)
