"""The transforms of whole-system tests that several of them share, and what comes of those."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from conftest import Workplace

IDS = 9000
"""How many ids the numbers of `changing` have: it is judged by that."""

CHANGING = """
import random, time
import comporta as c
pipeline = c.Pipeline("changing", dedup=c.by_id("id", within="24h"), rows=["number", "version", "face"],
    metrics=[c.count("lines"), c.sum("numbers", of="number"),
        c.count("faces", by=["version", "face"]), c.sum("pips", of="pips", by=["version", "face"])])
@pipeline.transform
def parse(line):
    number = int(line)
    if number % SLOW == 0:
        time.sleep(0.01)
    if random.random() < FAILING:
        raise RuntimeError("not today")
    face = random.randrange(6)
    return {"id": str(number % IDS), "number": number % IDS, "version": VERSION, "face": face,
        "pips": 1000 * VERSION + face}
"""


def changing(*, version: int = 0, failing: float = 0, slow: int = 100) -> str:
    """As bad as transforms get: it answers otherwise every time, or not at all.

    Other code has another `version`. It is slow, every `slow` numbers, so that faults land in the middle.
    """
    return f"IDS, VERSION, FAILING, SLOW = {IDS}, {version}, {failing}, {slow}\n{CHANGING}"


def check_changing(workplace: Workplace, file: Path, *where: object) -> dict[tuple[int, int], int]:
    """Each id has counted once, and each record in all metrics and its row as one run of one version saw it.

    How many there are by version and face.
    """
    assert workplace.counts(file, "lines", *where) == {(): IDS}
    assert workplace.counts(file, "numbers", *where) == {(): sum(range(IDS))}
    faces = workplace.counts(file, "faces", *where)
    assert sum(faces.values()) == IDS
    pips = {(version, face): count * (1000 * version + face) for (version, face), count in faces.items()}
    assert workplace.counts(file, "pips", *where) == pips
    rows = [kept["row"] for kept in workplace.rows(file, *where)]
    assert sorted(row["number"] for row in rows) == list(range(IDS))
    assert Counter((row["version"], row["face"]) for row in rows) == faces
    return faces
