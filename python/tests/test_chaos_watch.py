"""When all is durable, and how long nothing became so."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from comporta.chaos.positions import Durable
from comporta.chaos.watch import Sample, Watch, longest_stop

LONG, SHORT = 30.0, 0.5


class Store:
    """What is durable, as a test has it."""

    def __init__(self) -> None:
        self.durable: Durable | None = Durable(0, {})

    def __call__(self) -> Durable | None:
        return self.durable


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def watch(store: Store) -> Iterator[Watch]:
    watch = Watch(lambda: 100, store)
    yield watch
    watch.stop()


def test_a_partition_that_is_behind_is_waited_for(store: Store, watch: Watch) -> None:
    ends = {"a/0": 10, "a/1": 20}
    store.durable = Durable(100, {"a/0": 100})
    assert watch.wait_for(30, {}, LONG) is not None
    assert watch.wait_for(30, ends, SHORT) is None
    store.durable = Durable(100, {"a/0": 100, "a/1": 19})
    assert watch.wait_for(30, ends, SHORT) is None
    store.durable = Durable(120, {"a/0": 100, "a/1": 20})
    assert watch.wait_for(30, ends, LONG) is not None


def test_what_was_durable_stays_so(store: Store, watch: Watch) -> None:
    store.durable = Durable(70, {})
    assert watch.wait_for(70, {}, LONG) is not None
    store.durable = None
    seen = len(watch.samples)
    while len(watch.samples) < seen + 2:
        time.sleep(0.01)
    assert watch.samples[-1].durable is None
    assert watch.durable == 70


def test_the_longest_time_without_progress_counts() -> None:
    samples = [Sample(at / 10, at, durable) for at, durable in enumerate([1, 2, 3, 3, 3, None, 4, 5, 5, 6])]
    assert longest_stop(samples, 0.15, 0.75) == pytest.approx(0.4)
    assert longest_stop(samples, 0.65, 0.95) == pytest.approx(0.2)


def test_what_was_durable_before_is_no_progress() -> None:
    samples = [Sample(0.1, 5, 5), Sample(0.2, 5, None), Sample(0.3, 5, 5), Sample(0.4, 9, 5)]
    assert longest_stop(samples, 0.15, 0.5) == pytest.approx(0.35)
