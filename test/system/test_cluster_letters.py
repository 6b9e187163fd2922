"""Dead letters on the real cluster: replayed amid kills, across a reset, beside others, and very large."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster import Cluster
from cluster import cluster as cluster
from conftest import kill_tree, wait_until

from comporta.sinks import Ledger

NUMBERS = 1200
IDS = 1000
PICKY = """
import time
from pathlib import Path
import comporta as c
pipeline = c.Pipeline(NAME, dedup=c.by_id("id", within="24h"),
    metrics=[c.count("lines", by=["last"]), c.sum("numbers", of="number")])
@pipeline.transform
def parse(line):
    number = int(line)
    if number % 10 < BAD:
        raise ValueError("not yet")
    if number % 10 < 3:
        time.sleep(0.005)
    while number % 10 == 0 and number < HELD and Path("hold").exists():
        time.sleep(0.05)
    return {"id": str(number % IDS), "last": number % 10, "number": number % IDS}
"""


def picky(name: str, bad: int, *, held: int = 0, ids: int = IDS) -> str:
    """Of ten numbers as many as `bad` fail; the first, below `held`, waits while there is a `hold`."""
    return f"NAME, BAD, HELD, IDS = {name!r}, {bad}, {held}, {ids}\n{PICKY}"


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    assert process.wait(60) == 0


def replay(cluster: Cluster, file: Path, *words: object) -> None:
    cluster.workplace.run("dead", "replay", file, *words, *cluster.places(file))


def ended(cluster: Cluster, file: Path) -> tuple[int, ...]:
    ledger = cluster.ledger(file)
    return ledger["consumed"], ledger["counted"], ledger["duplicates"], ledger["dead"]


def test_letters_that_are_replayed_again_and_again_amid_kills_count_once(cluster: Cluster) -> None:
    def so_far(holds: Callable[[int, int], bool], what: str) -> None:
        def check() -> bool:
            ledger = cluster.so_far("picky")
            return holds(ledger.counted + ledger.duplicates, ledger.dead)

        wait_until(check, what, 60)

    cluster.fill([b"%d" % number for number in range(NUMBERS)])
    file = cluster.workplace.write("picky.py", picky("picky", bad=3))
    cluster.init(file)
    cluster.finish(file)
    letters = [letter["id"] for letter in cluster.letters(file)]
    assert len(letters) == 360
    assert ended(cluster, file) == (1200, 700, 140, 360)

    file.write_text(picky("picky", bad=1))
    running = cluster.start(file)
    replay(cluster, file, "--all")
    so_far(lambda done, dead: done > 840, "some letters count")
    kill_tree(running.pid)
    replay(cluster, file, "--all")
    running = cluster.start(file)
    replay(cluster, file, *letters)
    so_far(lambda done, dead: done == 1080, "all count that can")
    kill_tree(running.pid)

    file.write_text(picky("picky", bad=0))
    running = cluster.start(file)
    so_far(lambda done, dead: dead == 120, "the others fail again")
    replay(cluster, file, "--all")
    replay(cluster, file, "--all")
    so_far(lambda done, dead: dead == 0, "they count, too")
    stop(running)
    assert ended(cluster, file) == (1200, 1000, 200, 0)
    assert cluster.counts(file, "lines") == {(last,): 100 for last in range(10)}
    assert cluster.counts(file, "numbers") == {(): sum(range(IDS))}
    again = cluster.letters(file)
    assert all(letter["replayed"] for letter in again)
    attempts = Counter(letter["attempt"] for letter in again)  # a second one, if there was time for that
    assert (attempts[0], attempts[1]) == (360, 120)


def test_a_reset_leaves_waiting_letters_behind_and_other_pipelines_alone(cluster: Cluster) -> None:
    workplace = cluster.workplace
    numbers = range(2 * NUMBERS)

    def written(name: str, bad: int, held: int = 0) -> Path:
        return workplace.write(f"{name}.py", picky(name, bad, held=held, ids=len(numbers)))

    def until(name: str, consumed: int, dead: int) -> None:
        def check() -> bool:
            ledger = cluster.so_far(name)
            return (ledger.consumed, ledger.dead) == (consumed, dead)

        wait_until(check, f"{consumed} are consumed by {name}, and {dead} dead", 60)

    cluster.fill([b"%d" % number for number in numbers[:NUMBERS]])
    mine, other = written("mine", bad=1), written("other", bad=1)
    for file in (mine, other):
        cluster.init(file)
    running = [cluster.start(mine), cluster.start(other)]
    until("mine", 1200, 120)
    until("other", 1200, 120)
    for process in running:
        stop(process)
    letters = [letter["id"] for letter in cluster.letters(mine)]
    assert letters == [letter["id"] for letter in cluster.letters(other)]

    workplace.write("hold", "")
    written("mine", bad=0, held=NUMBERS)
    for file in (mine, other):
        replay(cluster, file, "--all")
    running = [cluster.start(mine, stderr=subprocess.PIPE) for _ in range(2)]
    cluster.fill([b"%d" % number for number in numbers[NUMBERS:]])
    wait_until(lambda: cluster.so_far("mine").consumed > NUMBERS, "more is counted", 60)
    workplace.run("reset", mine, *cluster.places(mine))
    for process in running:
        _, words = process.communicate(timeout=60)
        assert process.returncode == 1
        (line,) = (line for line in words.splitlines() if "reset while it ran" in line)
        assert line.startswith("comporta: error: ")

    written("mine", bad=1)
    written("other", bad=0)
    running = [cluster.start(mine), cluster.start(other)]
    until("mine", 2400, 240)
    until("other", 2400, 0)
    for process in running:
        stop(process)
    tenth = sum(range(0, 2400, 10))
    assert ended(cluster, mine) == (2400, 2160, 0, 240)
    assert cluster.counts(mine, "lines") == {(last,): 240 for last in range(1, 10)}
    assert cluster.counts(mine, "numbers") == {(): sum(numbers) - tenth}
    found = cluster.letters(mine)
    assert {letter["id"] for letter in found} > set(letters)
    assert [letter["attempt"] for letter in found] == [0] * 240
    assert {each.partition: each.ledger for each in cluster.checkpoints("mine")}["replay"] == Ledger()
    assert ended(cluster, other) == (2400, 2400, 0, 0)
    assert cluster.counts(other, "numbers") == {(): sum(numbers)}

    written("mine", bad=0)
    replay(cluster, mine, "--all")
    cluster.finish(mine)
    assert ended(cluster, mine) == (2400, 2400, 0, 0)
    assert cluster.counts(mine, "lines") == {(last,): 240 for last in range(10)}
    assert cluster.counts(mine, "numbers") == {(): sum(numbers)}


LIMITS = """
import comporta as c
pipeline = c.Pipeline("limits", dedup=c.by_id("id", within="24h"), metrics=[c.count("lines", by=["group"])])
@pipeline.transform
def parse(value, record):
    text = (value or b"").decode()
    if MENDED:
        text = text[:10]
    elif text.startswith("bad"):
        raise ValueError(text)
    return {"group": None if value is None else text, "id": f"{record} {'i' * 100_000}"}
"""
KEY = 32 * 1024 - 4  # bytes of a group that are its key with their brackets and quotes
Extreme = tuple["bytes | None", dict[str, Any]]
"""A value, and how it is sent."""

COUNTED: list[Extreme] = [
    (b"", {}),
    (None, {"keys": [b"a tombstone"]}),
    (b"x" * KEY, {}),
    ("é".encode() * (KEY // 2), {}),
    (b"\0" * 5000, {}),
    *((b"%05d" % number + b"y" * (KEY - 5), {}) for number in range(40)),
    (b"ok", {"headers": [("h", b"h" * 1_000_000)]}),
    (b"ok", {"headers": [("", b""), ("n", None)] * 30_000}),
    (b"ok", {"keys": [b"k" * 1_000_000]}),
]
WHOLE: list[Extreme] = [
    (b"x" * (KEY + 1), {}),
    ("é".encode() * (KEY // 2) + b"a", {}),
    *((b"z" * size, {}) for size in (65_531, 65_532, 65_535, 65_536, 900_000)),
    (b"bad" * 100_000, {"keys": [b"k" * 300_000], "headers": [("h", b"h" * 300_000)]}),
    (b"bad", {"headers": [("h", b"h" * 900_000)]}),
    (b"bad", {}),
]
SHORTENED: list[Extreme] = [
    (b"bad" + b"v" * 1_048_300, {}),
    (b"bad", {"headers": [("h", b"h" * 1_000_000)]}),
    (b"bad", {"keys": [b"k" * 1_000_000]}),
    (b"bad" + b"v" * (8 << 20), {"compression_type": "lz4"}),
    (b"w" * (8 << 20), {"compression_type": "lz4"}),
]


def test_what_is_at_a_limit_counts_and_what_is_over_it_is_a_letter(cluster: Cluster) -> None:
    everything = COUNTED + WHOLE + SHORTENED
    for number, (value, how) in enumerate(everything):
        cluster.topic.send([value], number % cluster.partitions, max_request_size=16 << 20, **how)
    file = cluster.workplace.write("limits.py", f"MENDED = False\n{LIMITS}")
    cluster.init(file)
    cluster.finish(file)
    counted = Counter((None if value is None else value.decode(),) for value, _ in COUNTED)
    assert cluster.counts(file, "lines") == counted
    letters = cluster.letters(file)
    assert len(letters) == len(WHOLE + SHORTENED)
    assert ended(cluster, file) == (len(everything), len(COUNTED), 0, len(letters))

    file.write_text(f"MENDED = True\n{LIMITS}")
    replay(cluster, file, "--all")
    cluster.finish(file)
    counted += Counter(((value or b"").decode()[:10],) for value, _ in WHOLE)
    assert cluster.counts(file, "lines") == counted
    left = [letter["id"] for letter in cluster.letters(file) if not letter["replayed"]]
    assert ended(cluster, file) == (len(everything), len(COUNTED + WHOLE), 0, len(SHORTENED))
    assert len(left) == len(SHORTENED)
    for id in left:
        answer = cluster.workplace.run("dead", "replay", file, id, *cluster.places(file), status=None)
        assert answer.returncode in (1, 2)
        assert f"{id} cannot be replayed" in answer.stderr
