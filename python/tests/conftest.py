"""What the tests of Python have in common."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
from real_services import services as services


@pytest.fixture(autouse=True)
def only_what_this_test_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Leave out what threads of earlier tests say: some of them wait for what never comes, and say so."""
    earlier = set(threading.enumerate()) - {threading.current_thread()}

    def is_of_this_test(record: logging.LogRecord) -> bool:
        return threading.current_thread() not in earlier

    caplog.handler.addFilter(is_of_this_test)
    yield
    caplog.handler.removeFilter(is_of_this_test)
