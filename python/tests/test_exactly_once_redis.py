from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from exactly_once_contract import ExactlyOnceContract
from real_services import RealServices

from comporta.dedup import ClaimStore, open_claims
from comporta.generations import Generation
from comporta.letters import LetterStore, open_letters
from comporta.sinks import Sink, open_sink


class TestExactlyOnceWithClaimsInRedis(ExactlyOnceContract):
    """The schedules of the SQLite test, with claims in Redis; each generation is new, so its claims are."""

    SCHEDULES = 60

    @pytest.fixture
    def connect(
        self, tmp_path: Path, services: RealServices
    ) -> Callable[[Generation], tuple[Sink, ClaimStore, LetterStore]]:
        url = f"sqlite:{tmp_path}/store.db"
        sink = open_sink(url, create=True)

        def connect(generation: Generation) -> tuple[Sink, ClaimStore, LetterStore]:
            assert sink.install(generation, instead_of=None)
            claims = open_claims(f"redis://{services.redis}", generation.id, 3600)
            return sink, claims, open_letters(url, generation.id)

        return connect
