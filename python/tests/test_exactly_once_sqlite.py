from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from exactly_once_contract import ExactlyOnceContract

from comporta.dedup import ClaimStore, open_claims
from comporta.generations import Generation
from comporta.letters import LetterStore, open_letters
from comporta.sinks import Sink, open_sink


class TestExactlyOnceOnSQLite(ExactlyOnceContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Callable[[Generation], tuple[Sink, ClaimStore, LetterStore]]:
        url = f"sqlite:{tmp_path}/store.db"
        sink = open_sink(url, create=True)

        def connect(generation: Generation) -> tuple[Sink, ClaimStore, LetterStore]:
            assert sink.install(generation, instead_of=None)
            return sink, open_claims(url, generation.id, 3600), open_letters(url, generation.id)

        return connect
