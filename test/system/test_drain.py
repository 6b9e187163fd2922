"""Members of a group that are stopped for good: others have their partitions at once."""

from __future__ import annotations

from pathlib import Path

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import GroupCoordinatorNotAvailableError
from cluster import Cluster, cluster
from conftest import kill_tree, wait_until

__all__ = ["cluster"]

COUNT = """
import comporta as c
pipeline = c.Pipeline("counted", metrics=[c.count("lines")])
@pipeline.transform
def parse(line): return {}
"""
SESSION = {"COMPORTA_SESSION_TIMEOUT": "45s"}


def group(cluster: Cluster, file: Path) -> tuple[str, list[int]]:
    """The group's state, and how many partitions each member has; while they are shared out, none yet."""
    describe = [cluster.group(file)]
    try:
        [described] = cluster.topic._administer(lambda admin: admin.describe_consumer_groups(describe))
    except GroupCoordinatorNotAvailableError:  # of a new broker, which nobody has asked for a group yet
        return "", []
    (_, _, state, _, _, members, *_) = described.groups[0]
    shares = [ConsumerProtocol.ASSIGNMENT.decode(each[4]).assignment if each[4] else [] for each in members]
    return state, sorted(sum(len(numbers) for _, numbers in share) for share in shares)


def test_who_leaves_gives_its_partitions_up_and_who_is_killed_can_be_made_to(cluster: Cluster) -> None:
    workplace = cluster.workplace
    file = workplace.write("counted.py", COUNT)
    cluster.fill([b"line"] * 400)
    cluster.init(file)
    here, there = {"COMPORTA_DATA": "here"}, {"COMPORTA_DATA": "there"}
    leaving, staying = (cluster.start(file, env=SESSION | each) for each in (here, there))
    wait_until(lambda: group(cluster, file) == ("Stable", [2, 3]), "both share topic and replay log", 60)

    drained = workplace.run("drain", file, "--leave", env=here)
    assert len(group(cluster, file)[1]) == 1
    assert f"has left the group '{cluster.group(file)}'" in drained.stderr
    assert leaving.wait(30) == 0
    wait_until(lambda: group(cluster, file) == ("Stable", [5]), "the other has all of it")
    wait_until(lambda: cluster.so_far("counted").consumed == 400, "all is counted")

    kill_tree(staying.pid)
    staying.wait()
    assert group(cluster, file) == ("Stable", [5])
    source = cluster.places(file)[:2]
    for says in ("has left the group", "has no members: there is nobody to leave it"):
        assert says in workplace.run("drain", file, "--leave", *source, env=there).stderr
    assert group(cluster, file) == ("Empty", [])
