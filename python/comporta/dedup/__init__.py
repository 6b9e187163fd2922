"""Claims on event ids, so that what was sent twice counts once: a contract, and the stores that meet it."""

from comporta.addresses import scheme
from comporta.dedup.contract import ClaimStore
from comporta.dedup.sqlite import SQLiteClaims

__all__ = ["ClaimStore", "open_claims"]


def open_claims(url: str, generation: str, within: float) -> ClaimStore:
    """The claim store that a URL names, for one generation; claims last `within` seconds.

    `redis://HOST[:PORT]` or `rediss://...` (TLS; one node, or some of a cluster), or `sqlite:PATH`.
    """
    if scheme(url) in ("redis", "rediss"):
        from comporta.dedup.redis import RedisClaims  # which imports more than embedded runs need

        return RedisClaims(url, generation, within)
    return SQLiteClaims(url, generation, within)
