"""Claims on event ids, so that what was sent twice counts once: a contract, and the stores that meet it."""

from comporta.dedup.contract import ClaimStore
from comporta.dedup.sqlite import SQLiteClaims

__all__ = ["ClaimStore", "open_claims"]


def open_claims(url: str, generation: str, within: float) -> ClaimStore:
    """The claim store that a URL `sqlite:PATH` names, for one generation; claims last `within` seconds."""
    return SQLiteClaims(url, generation, within)
