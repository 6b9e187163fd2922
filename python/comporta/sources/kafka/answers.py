"""Questions to Kafka, asked again while its brokers are away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka import errors

from comporta.errors import SourceError
from comporta.waiting import Notice

logger = logging.getLogger(__name__)

RETRY = 0.5  # seconds between two tries

Answer = TypeVar("Answer")


class Answers:
    """Answers of the brokers `servers`; `notice` says that they are waited for."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self.notice = Notice(logger, f"Kafka at {servers}")

    async def of(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `ask` gives in the end. Raises `SourceError` for what does not pass."""
        began = time.monotonic()
        while True:
            try:
                answer = await ask()
            except errors.KafkaError as error:
                if not error.retriable:
                    raise SourceError(f"Kafka at {self._servers} refuses: {error}") from error
                self.notice.failed(str(error), began)
                await asyncio.sleep(RETRY)
            else:
                self.notice.succeeded()
                return answer
