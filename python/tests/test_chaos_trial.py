"""How long a trial waits at its end for what is not durable yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from comporta.chaos import trial
from comporta.chaos.positions import Durable
from comporta.chaos.trial import Trial
from comporta.chaos.watch import Watch

EVENTS = 12


class Slow:
    """A store in which one more event becomes durable each time that it is looked at, up to `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0

    def __call__(self) -> Durable:
        self.count = min(self.most, self.count + 1)
        return Durable(self.count, {})


def settle(most: int) -> list[str]:
    """The troubles of a trial at whose end so many of the events become durable."""
    system: Any = SimpleNamespace(
        producer=SimpleNamespace(finish=lambda: None, total=EVENTS), ends=lambda: dict[str, int]()
    )
    settling = Trial("counting", "embedded", 1)
    watch = Watch(lambda: EVENTS, Slow(most))
    try:
        trial._settle(system, watch, settling, lambda what, figures: None)
    finally:
        watch.stop()
    return settling.troubles


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SETTLE", 1.0)


def test_it_waits_as_long_as_more_becomes_durable() -> None:
    assert settle(EVENTS) == []


def test_it_gives_up_once_no_more_becomes_durable() -> None:
    [words] = settle(3)
    assert "3 of 12 were durable" in words
