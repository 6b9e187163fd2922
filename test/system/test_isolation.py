"""Two pipelines in one release: one that keeps crashing does not touch the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from conftest import ROOT, Workplace, kill_tree, tree, wait_until

RELEASE = ROOT / "_build" / "prod" / "rel" / "comporta" / "bin" / "comporta"
PIPELINE = """
import os
import comporta as c
pipeline = c.Pipeline("{name}", metrics=[c.count("lines")])
@pipeline.transform
def parse(line):
    {work}
    return {{}}
"""
LINES = 20_000


def settings(workplace: Workplace, name: str, work: str) -> str:
    workplace.write(f"{name}.py", PIPELINE.format(name=name, work=work))
    workplace.write(f"{name}.log", "".join(f"{number}\n" for number in range(LINES)))
    lines = {
        "FILE": workplace.folder / f"{name}.py",
        "SOURCE": f"file:{workplace.folder / name}.log",
        "STORE": f"sqlite:{workplace.folder / name}.db",
    }
    text = "".join(f"COMPORTA_{key}={value}\n" for key, value in lines.items())
    return str(workplace.write(f"{name}.env", text))


def test_a_pipeline_that_crashes_for_ever_stops_alone_and_says_why(workplace: Workplace) -> None:
    both = [settings(workplace, "crashing", "os._exit(1)"), settings(workplace, "working", "pass")]
    environment = {
        "COMPORTA_PIPELINES": ",".join(both),
        "COMPORTA_PYTHON": sys.executable,
        "COMPORTA_WORKERS": "1",
        "COMPORTA_FLUSH_EVERY": "100ms",
    }
    log = workplace.folder / "log"
    with log.open("wb") as output:
        release = subprocess.Popen(
            [RELEASE, "start"], env=os.environ | environment, stdout=output, stderr=output
        )
    try:
        stopped = "crashing has stopped, and is not started again; other pipelines go on"
        wait_until(lambda: stopped in log.read_text(), "the one that crashes has stopped", 90)
        with (workplace.folder / "working.log").open("a") as more:
            more.write("".join(f"{number}\n" for number in range(LINES)))
        where = ("--store", f"sqlite:{workplace.folder / 'working'}.db")
        file = workplace.folder / "working.py"
        wait_until(
            lambda: workplace.counts(file, "lines", *where) == {(): 2 * LINES}, "the other has counted all"
        )
        release.send_signal(signal.SIGTERM)
        assert release.wait(60) == 0
        assert not tree(release.pid)
    finally:
        kill_tree(release.pid)
        release.wait()
    text = log.read_text()
    assert "Nothing was skipped: mend it and start again" in text
    assert workplace.ledger(file, *where)["counted"] == 2 * LINES


def test_settings_that_cannot_be_are_said_in_one_line(workplace: Workplace) -> None:
    path = workplace.write("wrong.env", "COMPORTA_FILE=a.py\nand so on\n")
    done = subprocess.run(
        [RELEASE, "start"],
        env=os.environ | {"COMPORTA_PIPELINES": str(path), "COMPORTA_PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    right = f'comporta: {path}: line 2 is "and so on": it must be COMPORTA_NAME=VALUE'
    assert done.stderr.strip() == right
