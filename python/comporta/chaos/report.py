"""A trial as data, for `report.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from comporta.chaos.trial import Trial


def as_json(trial: Trial) -> dict[str, Any]:
    """Everything that is known of a trial, but for its samples."""
    found = asdict(trial)
    del found["samples"]
    found["injections"] = [
        asdict(injection) | {"recovery_ms": injection.recovery_ms} for injection in trial.injections
    ]
    return found | {"holds": trial.holds}
