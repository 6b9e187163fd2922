"""What a claim store is: it knows which position of the log was the first to bring an event id.

A claim says "duplicate" only to another position than the first. A redelivered record finds its own position
and still counts, so that a crash between a claim and the flush that counts its record loses nothing.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence

from comporta.payloads import Claim

FIRST = 1
DUPLICATE = 0


class ClaimStore(abc.ABC):
    """The claims of one generation; `python/tests/claims_contract.py` tests every implementation.

    What is not there for now is waited for, with a log line; what cannot be mended by waiting raises
    `StoreError`.
    """

    losses = 0
    """How often claims were seen to be gone: events claimed before may count again."""

    @abc.abstractmethod
    def claim(self, claims: Sequence[Claim]) -> bytes:
        """Claim each id for its position: a byte each, 1 where the position is its first, else 0.

        The first position keeps its claim, however often it asks, for as long as the window lasts, in wall
        time from when the id was first seen. Repeats within one call are decided in its order.
        """
