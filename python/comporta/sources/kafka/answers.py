"""Questions to Kafka, asked again while its brokers are away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka import errors

from comporta.errors import SourceError

logger = logging.getLogger(__name__)

RETRY = 0.5  # seconds between two tries

Answer = TypeVar("Answer")


class Answers:
    """Says once that the brokers `servers` are away, and once that they are back."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._are_away = False

    async def of(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `ask` gives in the end. Raises `SourceError` for what does not pass."""
        while True:
            try:
                answer = await ask()
            except errors.KafkaError as error:
                if not error.retriable:
                    raise SourceError(f"Kafka at {self._servers} refuses: {error}") from error
                self.are_away(str(error))
                await asyncio.sleep(RETRY)
            else:
                self.are_back()
                return answer

    def are_away(self, reason: str) -> None:
        """Nobody answers."""
        if not self._are_away:
            self._are_away = True
            logger.warning("waiting for Kafka at %s: %s; nothing is lost", self._servers, reason)

    def are_back(self) -> None:
        """Somebody answers."""
        if self._are_away:
            self._are_away = False
            logger.info("Kafka at %s answers again", self._servers)
