"""The pipeline on real Kafka, Redis and Cassandra, alone and in a group, judged by an independent count."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster, parts
from cluster import cluster as cluster
from conftest import access_log, json_lines, kill, kill_tree, statuses, tree, wait_until
from kafka_topics import Topic
from redis_servers import server
from transforms import IDS, changing, check_changing

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "access_log.py"
GENERATED = 1_000_000
EVENTS = """
import comporta as c
pipeline = c.Pipeline("events", metrics=[
    c.count("requests", by=["status"]), c.sum("bytes", of="size", by=["status"]),
    c.distinct("visitors", of="visitor"), c.top("pages", of="page", k=5)])
@pipeline.transform
def parse(line):
    status, size, visitor, page = line.split()
    return {"status": int(status), "size": int(size), "visitor": visitor.decode(), "page": page.decode()}
"""
NUMBERS = 12_000


def generated() -> list[bytes]:
    chance = random.Random(7)
    pages = [b"/page/%d" % number for number in range(2000)]
    weights = [1 / (rank + 1) for rank in range(2000)]
    chosen = chance.choices(pages, weights, k=GENERATED)
    return [
        b"%d %d visitor-%d %s"
        % (chance.choice((200, 200, 304, 404)), chance.randrange(5000), number % 70_000, page)
        for number, page in enumerate(chosen)
    ]


def test_the_same_file_gives_the_same_results_on_files_and_on_a_cluster(cluster: Cluster) -> None:
    workplace = cluster.workplace
    cluster.fill(access_log())
    cluster.init(EXAMPLE)
    cluster.finish(EXAMPLE)
    workplace.write("access.log", b"\n".join(access_log()) + b"\n")
    workplace.run("run", EXAMPLE, "--source", "file:access.log", "--until-end")
    assert (
        cluster.counts(EXAMPLE, "requests") == workplace.counts(EXAMPLE, "requests") == statuses(access_log())
    )
    assert cluster.ledger(EXAMPLE)["consumed"] == len(access_log())


def test_a_million_lines_are_counted_and_the_ledger_is_recounted(cluster: Cluster) -> None:
    lines = generated()
    cluster.fill(lines)
    file = cluster.workplace.write("events.py", EVENTS)
    cluster.init(file)
    cluster.finish(file)
    requests, sizes, visitors, pages = Counter(), Counter(), set(), Counter()
    for line in lines:
        status, size, visitor, page = line.split()
        requests[int(status),] += 1
        sizes[int(status),] += int(size)
        visitors.add(visitor)
        pages[page.decode()] += 1
    assert cluster.counts(file, "requests") == dict(requests)
    assert cluster.counts(file, "bytes") == dict(sizes)
    [distinct] = cluster.counts(file, "visitors").values()
    assert distinct == pytest.approx(len(visitors), rel=0.05)
    [top] = cluster.counts(file, "pages").values()
    assert [each["item"] for each in top[:3]] == [page for page, _ in pages.most_common(3)]
    for each in top:
        assert each["lower"] <= pages[each["item"]] <= each["upper"]
    assert cluster.ledger(file)["counted"] == len(lines)


def numbered(cluster: Cluster) -> Path:
    cluster.fill([b"%d" % number for number in range(NUMBERS)])
    file = cluster.workplace.write("changing.py", changing())
    cluster.init(file)
    return file


def check(cluster: Cluster, file: Path) -> None:
    """Each id counts once, whatever the transform said when run again."""
    check_changing(cluster.workplace, file, "--store", cluster.store)
    ledger = cluster.ledger(file)
    assert (ledger["consumed"], ledger["counted"], ledger["duplicates"]) == (NUMBERS, IDS, NUMBERS - IDS)


@pytest.mark.parametrize("whole", [True, False], ids=["the whole tree", "the BEAM alone"])
def test_a_member_that_was_frozen_past_its_session_and_woken_changes_nothing(
    cluster: Cluster, whole: bool
) -> None:
    file = numbered(cluster)
    zombie = cluster.start(file)
    wait_until(lambda: cluster.so_far("changing").consumed > 0, "something is counted")
    frozen = list(tree(zombie.pid)) if whole else parts(zombie, "beam")
    for pid in frozen:
        kill(pid, signal.SIGSTOP)
    cluster.finish(file)
    for pid in frozen:
        kill(pid, signal.SIGCONT)
    time.sleep(5)
    check(cluster, file)
    kill_tree(zombie.pid)


def test_redis_that_is_emptied_lets_duplicates_through_and_nothing_else(
    cluster: Cluster, tmp_path: Path
) -> None:
    with server(tmp_path / "redis") as redis:
        cluster.claims = redis.url
        file = numbered(cluster)
        running = cluster.start(file, "--log-format", "json", stdout=subprocess.PIPE)
        wait_until(lambda: cluster.so_far("changing").consumed > 1000, "something is counted")
        redis.client.flushall()
        cluster.fill([b"%d" % number for number in range(NUMBERS)])
        wait_until(lambda: cluster.so_far("changing").consumed == 2 * NUMBERS, "all is counted", 60)
        running.terminate()
        shown = json.loads(running.communicate(timeout=60)[0])
    [counted] = cluster.counts(file, "lines").values()
    assert IDS <= counted <= 2 * IDS
    ledger = cluster.ledger(file)
    assert (ledger["consumed"], ledger["dead"], ledger["dropped"]) == (2 * NUMBERS, 0, 0)
    assert shown["lost_claims"] >= 1
    assert shown["lost_offsets"] == 0


def test_offsets_that_kafka_has_deleted_are_counted_and_said(cluster: Cluster) -> None:
    file = cluster.workplace.write("events.py", EVENTS)
    cluster.store = "sqlite:store.db"
    cluster.fill([b"200 1 a /"] * 40)
    cluster.init(file)
    cluster.topic.delete_records(6)
    done = cluster.finish(file, "--log-format", "json")
    shown = json.loads(done.stdout)
    assert (shown["lost_offsets"], shown["lost_claims"], shown["consumed"]) == (6, 0, 34)
    assert shown["balanced"]
    assert [line["level"] for line in json_lines(done.stderr) if "6 offsets are lost" in line["message"]] == [
        "warning"
    ]


def test_dead_letters_are_replayed_once_however_often_they_are_asked_for(cluster: Cluster) -> None:
    workplace = cluster.workplace
    good, bad = [b"200 1 a /" for _ in range(100)], [b"what is this", b"nor this one", b""]
    cluster.fill(good + bad)
    keeping = EVENTS.replace('"events", ', '"events", rows=["status", "page"], ')
    file = workplace.write("events.py", keeping)
    cluster.init(file)
    cluster.finish(file)
    where = cluster.places(file)
    letters = workplace.letters(file, *where)
    assert len(letters) == 3
    assert cluster.ledger(file)["dead"] == 3
    shown = workplace.run("dead", "show", file, letters[0]["id"], *where).stdout
    assert "ValueError" in shown
    workplace.write(
        "events.py",
        keeping.replace(
            "    status,", "    line = b'500 0 b /' if len(line.split()) != 4 else line\n    status,"
        ),
    )
    for _ in range(2):
        workplace.run("dead", "replay", file, "--all", *where)
        cluster.finish(file)
    workplace.run("dead", "replay", file, letters[0]["id"], *where)
    cluster.finish(file)
    assert cluster.counts(file, "requests") == {(200,): 100, (500,): 3}
    whole = workplace.ledger(file, *where)
    assert (whole["consumed"], whole["counted"], whole["dead"]) == (103, 103, 0)
    assert workplace.rows(file, "--store", cluster.store) == [
        {"partition": partition, "offset": offset, "index": 0, "row": {"status": status, "page": "/"}}
        for partition, offset, status in sorted(
            (f"{cluster.topic.name}/{number}", offset, 500 if value in bad else 200)
            for number in range(cluster.partitions)
            for offset, value in enumerate((good + bad)[number :: cluster.partitions])
        )
    ]


def test_a_reset_under_a_running_release_stops_it_and_counts_again(cluster: Cluster) -> None:
    file = numbered(cluster)
    running = cluster.start(file)
    wait_until(lambda: cluster.so_far("changing").consumed > 0, "something is counted")
    cluster.workplace.run("reset", file, *cluster.places(file))
    assert running.wait(60) == 1
    cluster.finish(file)
    check(cluster, file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: setattr(c, "topic", Topic.of(c.topic.name + "-not")), "no topic"),
        (lambda c: setattr(c, "store", c.store + "_not"), "comporta init"),
    ],
    ids=["topic", "keyspace"],
)
def test_what_is_not_there_is_said_in_one_line(
    cluster: Cluster, change: Callable[[Cluster], None], words: str
) -> None:
    file = cluster.workplace.write("changing.py", changing())
    cluster.init(file)
    change(cluster)
    done = cluster.finish(file, status=1)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
