"""Releases of one group on the real cluster, as they come and go: each record counts once, in peace."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from itertools import count
from pathlib import Path

import pytest
from cluster import Cluster, parts
from cluster import cluster as cluster
from conftest import kill, kill_tree, wait_until
from groups import Standing, standing
from transforms import IDS, changing, check_changing

NUMBERS = 12_000
ACTIONS = 8


def group_of(cluster: Cluster, file: Path, members: int, partitions: int) -> Standing:
    """The group once that many members share that many partitions, the replay log's included."""

    def shared() -> Standing | None:
        found = standing(cluster.services.kafka, cluster.group(file))
        sizes = [len(owned) for owned in found.members.values()] if found else []
        return found if len(sizes) == members and sum(sizes) == partitions else None

    return wait_until(shared, f"{members} members share {partitions} partitions", 90)


class Members:
    """Releases of one pipeline, at most three; whenever one starts, the code is another."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self._cluster = cluster
        self._chance = chance
        self._versions = count()
        self.running: list[subprocess.Popen[str]] = []
        self.file = self._write()

    def _write(self) -> Path:
        text = changing(version=next(self._versions), slow=25)
        new = self._cluster.workplace.write("next.py", text)  # never half written, for one that starts now
        return new.replace(new.with_name("changing.py"))

    def join(self) -> None:
        self._write()
        self.running.append(self._cluster.start(self.file))

    def leave(self) -> None:
        member = self.running.pop(self._chance.randrange(len(self.running)))
        member.terminate()
        assert member.wait(60) in (0, -signal.SIGTERM)  # the latter if it had not even begun

    def kill(self) -> None:
        member = self.running.pop(self._chance.randrange(len(self.running)))
        kill_tree(member.pid)
        member.wait()

    def kill_part(self) -> None:
        part = self._chance.choice(("source", "store", "worker", "claims", "beam", "command"))
        member = self._chance.choice(self.running)
        for pid in [member.pid] if part == "command" else parts(member, part):
            kill(pid)
        if part in ("beam", "command"):
            self.running.remove(member)

    def act(self) -> None:
        """Do one of these, as far as it leaves one to three members."""
        actions = [self.kill_part]
        if len(self.running) < 3:
            actions += [self.join, self.join]
        if len(self.running) > 1:
            actions += [self.leave, self.kill]
        self._chance.choice(actions)()
        if not self.running:
            self.join()


@pytest.mark.parametrize("seed", [50])
def test_members_join_leave_and_are_killed_while_their_code_changes(cluster: Cluster, seed: int) -> None:
    chance = random.Random(seed)
    members = Members(cluster, chance)
    file = members.file
    cluster.init(file)
    members.join()
    members.join()
    numbers = [b"%d" % number for number in range(NUMBERS)]
    for turn in range(ACTIONS):
        before = cluster.so_far("changing").consumed
        cluster.fill(numbers[turn::ACTIONS])
        wait_until(lambda before=before: cluster.so_far("changing").consumed > before, "it goes on", 90)
        time.sleep(chance.uniform(0, 0.5))
        members.act()
    wait_until(lambda: cluster.so_far("changing").consumed == NUMBERS, "all is counted", 90)
    while members.running:
        members.leave()
    faces = check_changing(cluster.workplace, file, "--store", cluster.store)
    assert len({version for version, _ in faces}) > 1
    ledger = cluster.ledger(file)
    assert (ledger["consumed"], ledger["counted"], ledger["duplicates"]) == (NUMBERS, IDS, NUMBERS - IDS)


def test_what_was_killed_is_back_without_a_rebalance_and_finds_partitions_that_are_added(
    cluster: Cluster,
) -> None:
    cluster.fill([b"%d" % number for number in range(6000)])
    file = cluster.workplace.write("changing.py", changing())
    cluster.init(file)
    patient = {"COMPORTA_SESSION_TIMEOUT": "30s"}
    leader = cluster.start(file, env=patient)
    group_of(cluster, file, 1, 5)
    other = cluster.start(file, env=patient)
    before = group_of(cluster, file, 2, 5)

    def is_back() -> Standing | None:
        found = standing(cluster.services.kafka, cluster.group(file))
        return found if found and len(found.members.keys() - before.members.keys()) == 1 else None

    (source,) = parts(leader, "source")
    kill(source)
    back = wait_until(is_back, "the source is back")
    assert (back.generation, set(back.members.values())) == (before.generation, set(before.members.values()))

    before = back
    kill_tree(leader.pid)
    leader.wait()
    leader = cluster.start(file, env=patient)
    back = wait_until(is_back, "the release is back")
    assert (back.generation, set(back.members.values())) == (before.generation, set(before.members.values()))

    cluster.topic.grow(6)
    for partition in range(6):
        cluster.topic.send([b"%d" % number for number in range(6000 + partition, 12_000, 6)], partition)
    wait_until(lambda: cluster.so_far("changing").consumed == NUMBERS, "all is counted", 90)
    assert group_of(cluster, file, 2, 7).generation > before.generation
    leader.send_signal(signal.SIGTERM)
    other.send_signal(signal.SIGTERM)
    assert [leader.wait(60), other.wait(60)] == [0, 0]
    check_changing(cluster.workplace, file, "--store", cluster.store)
    assert cluster.ledger(file)["duplicates"] == NUMBERS - IDS
    assert {each.partition: each.upto for each in cluster.checkpoints("changing")} == {
        **{f"{cluster.topic.name}/{number}": 2500 for number in range(4)},
        **{f"{cluster.topic.name}/{number}": 1000 for number in (4, 5)},
        "replay": 0,
    }


def test_of_two_releases_with_one_instance_id_the_older_stops_in_one_line(cluster: Cluster) -> None:
    cluster.fill([b"%d" % number for number in range(NUMBERS)])
    file = cluster.workplace.write("changing.py", changing(slow=25))
    cluster.init(file)
    one = {"COMPORTA_INSTANCE_ID": "one"}
    older = cluster.start(file, env=one, stderr=subprocess.PIPE)
    wait_until(lambda: cluster.so_far("changing").consumed > 0, "something is counted")
    newer = cluster.start(file, env=one)
    _, words = older.communicate(timeout=60)
    assert older.returncode == 1
    assert [line for line in words.splitlines() if "the instance id one has taken over" in line] == [
        words.splitlines()[-1]
    ]
    wait_until(lambda: cluster.so_far("changing").consumed == NUMBERS, "all is counted", 60)
    newer.terminate()
    assert newer.wait(60) == 0
    check_changing(cluster.workplace, file, "--store", cluster.store)
    assert cluster.ledger(file)["duplicates"] == NUMBERS - IDS
