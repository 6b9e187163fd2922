"""A consumer group belongs to one SQLite store: two would each count a part, and neither would know."""

from __future__ import annotations

import subprocess

from conftest import Workplace
from kafka_topics import Topic
from real_services import RealServices

COUNT = """
import comporta as c
pipeline = c.Pipeline("counted", metrics=[c.count("lines")])
@pipeline.transform
def parse(line): return {}
"""


def test_a_group_is_one_sqlite_store_s_until_that_is_gone_for_good(
    services: RealServices, workplace: Workplace
) -> None:
    Topic.server = services.kafka
    topic = Topic()
    topic.send([b"line"] * 10)
    file = workplace.write("counted.py", COUNT)
    source = ("--source", f"{topic.url}?group={topic.name}")

    def run(store: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return workplace.run("run", file, "--store", f"sqlite:{store}", *source, "--until-end", status=status)

    run("one.db")
    workplace.run("reset", file, "--store", "sqlite:one.db")
    run("one.db")  # its former generations are its own

    refused = run("two.db", status=1).stderr.splitlines()[-1]
    assert f"the group '{topic.name}' is another store's" in refused
    for way_on in ("?group=NAME", "Cassandra", "comporta reset FILE.py --source"):
        assert way_on in refused

    reset = ("reset", file, "--store", "sqlite:two.db", *source)
    assert "has members" in workplace.run(*reset, status=1).stderr
    workplace.run("drain", file, "--leave", *source)
    workplace.run(*reset)
    run("two.db")
    assert workplace.query(file, "lines", "--store", "sqlite:two.db")[0]["value"] == 10
