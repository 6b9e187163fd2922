"""Waiting for asyncio's futures, and ending them, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any


async def ended(tasks: Iterable[asyncio.Future[Any]], seconds: float) -> None:
    """Cancel tasks until they have ended: `asyncio.wait_for` may lose a cancellation before Python 3.12."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=seconds)


async def within(awaitable: Awaitable[object], seconds: float) -> bool:
    """Whether it came to its end in time."""
    try:
        await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        return False
    return True
