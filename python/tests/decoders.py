"""Both decoders of Kafka's record batches, for tests that either must pass."""

from __future__ import annotations

import pytest

from comporta import kafka_native

DECODERS = ["python", "native"] if kafka_native.is_available() else ["python"]


@pytest.fixture(params=DECODERS, autouse=True)
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The decoder that is used."""
    if request.param == "python":
        monkeypatch.setattr(kafka_native, "native", None)
    return str(request.param)
