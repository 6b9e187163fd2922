"""Ids a second and bytes an id of claims in Redis, beside redis-py's pipelined `SET key position NX EX`.

    python bench/claims.py [--redis redis://127.0.0.1:6379] [--ids 300000] [--rounds 5] [--pack 1000]

Each round runs both, one after the other, on ids that were never seen: `SET NX EX` in pipelines of 1,000, and
`claim` in calls of --pack; then it asks both again, as after a crash. Memory is what `used_memory` of
`INFO memory` grows by. In every round the answers are checked, too: every new id is first; the same
positions find their own claims; other positions are duplicates. Printed are medians, and the ratios of the
rounds' medians. Use a Redis that nobody else writes to meanwhile; what is written expires within an hour.
"""

from __future__ import annotations

import argparse
import json
import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis

from comporta.dedup import open_claims
from comporta.payloads import Claim

WINDOW = 1800  # seconds
PIPELINE = 1000


def packs(claims: list[Claim], size: int) -> Iterator[list[Claim]]:
    for start in range(0, len(claims), size):
        yield claims[start : start + size]


def set_nx_ex(client: Any, generation: str, claims: list[Claim]) -> int:
    """How many were first."""
    first = 0
    for pack in packs(claims, PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for event, partition, offset in pack:
            pipeline.set(f"{generation}:{event.decode()}", f"{partition}:{offset}", nx=True, ex=WINDOW)
        first += sum(answer is not None for answer in pipeline.execute())
    return first


def timed(work: Callable[[], int], expected: int) -> float:
    """Seconds that it takes; its answer must be as expected."""
    started = time.perf_counter()
    answer = work()
    elapsed = time.perf_counter() - started
    if answer != expected:
        raise SystemExit(f"wrong: {answer} were first where {expected} are")
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--redis", default="redis://127.0.0.1:6379", help="one node that nobody else uses")
    parser.add_argument("--ids", type=int, default=300_000, help="new ids in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pack", type=int, default=1000, help="ids in a call of claim")
    parser.add_argument("--json", help="a file to write the rounds to")
    arguments = parser.parse_args()
    client = redis.Redis.from_url(arguments.redis)
    rounds = [measure(client, arguments) for _ in range(arguments.rounds)]
    median = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    print(f"{arguments.ids:,} ids a round, calls of {arguments.pack:,}, medians of {arguments.rounds} rounds")
    print(f"{'':28}{'ids/s, new':>12}{'ids/s, again':>14}{'bytes/id':>10}")
    for name in ("SET NX EX", "claims"):
        new, again, size = (median[f"{name} {what}"] for what in ("new", "again", "bytes"))
        print(f"{name:28}{new:>12,.0f}{again:>14,.0f}{size:>10.1f}")
    new, again, size = (
        median[f"claims {what}"] / median[f"SET NX EX {what}"] for what in ("new", "again", "bytes")
    )
    print(f"{'claims to SET NX EX':28}{new:>11.2f}x{again:>13.2f}x{size:>9.2f}x")
    if arguments.json:
        with open(arguments.json, "w") as file:  # noqa: PTH123
            json.dump({"ids": arguments.ids, "pack": arguments.pack, "rounds": rounds}, file, indent=1)


def measure(client: Any, arguments: argparse.Namespace) -> dict[str, float]:
    """One round of both: ids a second, for new ones and when asked again, and bytes an id."""
    count = arguments.ids
    ids = [secrets.token_hex(8).encode() for _ in range(count)]
    claims: list[Claim] = [(event, "access/0", offset) for offset, event in enumerate(ids)]
    others: list[Claim] = [(event, "access/1", offset) for offset, event in enumerate(ids)]
    generation = secrets.token_hex(8)
    store = open_claims(arguments.redis, generation, WINDOW)

    def claim(claims: list[Claim]) -> int:
        return sum(sum(store.claim(pack)) for pack in packs(claims, arguments.pack))

    before = client.info("memory")["used_memory"]
    result = {"SET NX EX new": count / timed(lambda: set_nx_ex(client, generation, claims), count)}
    between = client.info("memory")["used_memory"]
    result["claims new"] = count / timed(lambda: claim(claims), count)
    after = client.info("memory")["used_memory"]
    result["SET NX EX bytes"] = (between - before) / count
    result["claims bytes"] = (after - between) / count
    result["SET NX EX again"] = count / timed(lambda: set_nx_ex(client, generation, claims), 0)
    result["claims again"] = count / timed(lambda: claim(claims), count)
    timed(lambda: claim(others), 0)
    return result


if __name__ == "__main__":
    main()
