"""Each workload's own pipeline passes its check, and the check finds whatever differs, in each metric."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, cast

import pytest

import comporta as c
from comporta.chaos import catalogue
from comporta.chaos.judge import judge
from comporta.chaos.results import Group, Results
from comporta.chaos.workload import Workload

EVENTS = 25_000
WORKLOADS = list(catalogue.all_workloads().values())


class Answers:
    """What a pipeline would say that has counted what `run` has."""

    def __init__(self, run: c.testing.Run) -> None:
        self.run = run
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


@pytest.fixture(params=WORKLOADS, ids=lambda workload: workload.name, scope="module")
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Workload, c.testing.Run]]:
    """A workload, and a run of its pipeline over its events."""
    workload = request.param()
    file = tmp_path_factory.mktemp(workload.name) / "pipeline.py"
    file.write_text(workload.code)
    path = list(sys.path)
    yield workload, c.testing.run(str(file), (workload.event(number).value for number in range(EVENTS)))
    sys.path[:] = path


def breaches(workload: Workload, answers: Answers) -> list[str]:
    verdict = judge(workload, range(EVENTS), [], cast(Results, answers))
    events = [] if verdict.is_conserved else ["events"]
    return events + [words.partition(" ")[0] for words in verdict.breaches]


def test_what_the_pipeline_makes_of_the_events_is_right(done: tuple[Workload, c.testing.Run]) -> None:
    workload, run = done
    assert breaches(workload, Answers(run)) == []
    assert run.outcome.counted > EVENTS / 2


def test_whatever_differs_is_found(done: tuple[Workload, c.testing.Run]) -> None:
    workload, run = done
    for metric in run.pipeline.metrics:
        groups = list(run.values(metric.name))
        for group in map(_shown, (groups[0], groups[-1])):
            changed, missing = Answers(run), Answers(run)
            changed.metrics[metric.name][group] = _changed(changed.metrics[metric.name][group])
            del missing.metrics[metric.name][group]
            for answers in (changed, missing):
                assert breaches(workload, answers), f"{metric.name} may be {answers.metrics[metric.name]}"


def _changed(value: Any) -> Any:
    return value + 1


def _shown(group: Group) -> Group:
    """A group as `Results.values` has it."""
    start, *values = group
    return (*([start.isoformat().replace("+00:00", "Z")] if start else []), *values)
