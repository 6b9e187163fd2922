"""The claim store of the real cluster: Redis, one node or a Redis Cluster.

Ids are kept as 128-bit hashes. Of a position, 64 bits are kept: a hash of the partition plus the offset, so
that two positions of one partition are never taken for each other, and those of two partitions only by a
chance of 2^-64. Both hashes are seeded with the generation, which is a random id: nobody can choose ids whose
hashes meet. A shard is a hash tag; its keys, and what a pack does, are described in `redis_script`. Claims
expire by themselves, those of old generations too, so there is nothing to delete.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xxhash
from redis.crc import key_slot

from comporta.addresses import redis
from comporta.dedup.contract import ClaimStore
from comporta.dedup.redis_nodes import Call, Nodes
from comporta.dedup.redis_script import COUNTERS, PACK, RECORD, SLOTS
from comporta.payloads import Claim

logger = logging.getLogger(__name__)

SHARDS = 32  # of a generation in a cluster, spread evenly over its slots; one on a single node
CLUSTER_SLOTS = 16384
ID = 16  # bytes of an id's hash
WORD = 2**64 - 1
BYTES_PER_ID = 40  # of memory, as `bench/claims.py` measures it; for as many ids as come in 1.5 windows

Records = npt.NDArray[np.uint8]
Answers = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]


@dataclass
class _Shard:
    keys: tuple[bytes, ...]
    born: bytes = b""
    packs: int = 0
    asked: int = 0  # Redis's time of the last answer, in milliseconds


class RedisClaims(ClaimStore):
    """Claims in the Redis that a URL `redis://...` or `rediss://...` names; they last `within` seconds.

    They last half as long again at most. Waits for a Redis that is away, and raises what `Nodes` does.
    """

    def __init__(self, url: str, generation: str, within: float) -> None:
        self._within = max(1, round(within * 1000))
        self._key = hashlib.blake2b(generation.encode()).digest()
        self._seed = int.from_bytes(self._key[:8], "little")
        self._counter = secrets.randbelow(COUNTERS)
        self._partitions: dict[str, int] = {}
        self._nodes = Nodes(redis(url))
        tags = _tags(generation) if self._nodes.clustered else [generation]
        self._shards = [_Shard(_keys(tag)) for tag in tags]

    def claim(self, claims: Sequence[Claim]) -> bytes:
        answers = np.zeros(len(claims), np.uint8)
        self._nodes.run(self._calls(claims, answers))
        return answers.tobytes()

    def _calls(self, claims: Sequence[Claim], answers: Answers) -> Iterator[Call]:
        """The calls that decide all claims, each made while earlier ones are under way."""
        size = PACK if len(self._shards) == 1 else PACK * 8
        for start in range(0, len(claims), size):
            records = self._records(claims[start : start + size])
            for shard, places in self._places(records):
                for first in range(0, len(places), PACK):
                    yield self._call(shard, records, places[first : first + PACK], answers[start:])

    def _records(self, claims: Sequence[Claim]) -> Records:
        """A row of bytes for each claim: the id's hash and the position's."""
        digest, seed, partitions = xxhash.xxh3_128_digest, self._seed, self._partitions
        for partition in {partition for _, partition, _ in claims} - partitions.keys():
            name = hashlib.blake2b(partition.encode(), digest_size=8, key=self._key)
            partitions[partition] = int.from_bytes(name.digest(), "little")
        records = np.empty((len(claims), RECORD), np.uint8)
        digests = b"".join([digest(event, seed) for event, _, _ in claims])
        records[:, :ID] = np.frombuffer(digests, np.uint8).reshape(-1, ID)
        positions = [(partitions[partition] + offset) & WORD for _, partition, offset in claims]
        records[:, ID:] = np.array(positions, "<u8").view(np.uint8).reshape(-1, RECORD - ID)
        return records

    def _places(self, records: Records) -> Iterator[tuple[_Shard, Places]]:
        """Each shard with the rows that are its own, in their order."""
        if len(self._shards) == 1:
            yield self._shards[0], np.arange(len(records))
            return
        owners = records[:, ID - 1] % len(self._shards)  # not the first bytes, which name cells
        for number in np.unique(owners):
            yield self._shards[number], np.flatnonzero(owners == number)

    def _call(self, shard: _Shard, records: Records, places: Places, answers: Answers) -> Call:
        def answered(reply: tuple[bytes, int, int, bytes]) -> None:
            born, packs, now, decided = reply
            answers[places] = np.frombuffer(decided, np.uint8)
            self._watch(shard, born, packs, now)

        return Call(shard.keys, (records[places].tobytes(), self._within, self._counter), answered)

    def _watch(self, shard: _Shard, born: bytes, packs: int, now: int) -> None:
        """See whether a shard still has what it had."""
        lost = shard.born and (born != shard.born or packs <= shard.packs)
        if lost and now - shard.asked < self._within:  # else everything had expired
            self.losses += 1
            logger.warning(
                "%s has lost claims (%d losses so far): events that were sent again may count again",
                self._nodes,
                self.losses,
            )
        shard.born, shard.packs, shard.asked = born, packs, now


def _keys(tag: str) -> tuple[bytes, ...]:
    """The keys of a shard: its own, and its segments'."""
    shard = f"comporta:claims:{{{tag}}}"
    return tuple(name.encode() for name in (shard, *(f"{shard}:{slot}" for slot in range(SLOTS))))


def _tags(generation: str) -> list[str]:
    """Hash tags that spread a generation's shards evenly over a cluster's slots, whoever looks for them."""
    tags: dict[int, str] = {}
    candidates = (f"{generation}:{number}" for number in itertools.count())
    while len(tags) < SHARDS:
        tag = next(candidates)
        tags.setdefault(key_slot(tag.encode()) * SHARDS // CLUSTER_SLOTS, tag)
    return [tags[place] for place in range(SHARDS)]
