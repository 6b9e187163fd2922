from __future__ import annotations

from pathlib import Path

import pytest
from sink_contract import Connect, SinkContract

from comporta.sinks import open_sink


class TestSQLiteSink(SinkContract):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: open_sink(f"sqlite:{tmp_path}/store.db", create=True)
