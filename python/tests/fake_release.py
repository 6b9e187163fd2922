"""A fake release: a program that plays the BEAM's part towards the command, as a test says."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

PYTHON = Path(__file__).resolve().parents[1]

PREAMBLE = """
import json, os, signal, sys, time
from comporta.connection import Connection
reports = Connection(int(os.environ["COMPORTA_PROGRESS_FD"]))
COUNTS = dict(consumed=3, counted=2, dropped=0, duplicates=0, dead=1, in_flight=0,
    lost_offsets=0, lost_claims=0, late=0, expired=0, without_id=0)

def banner():
    reports.send(dict(kind="banner", comporta="0.1.0", elixir="1.14.0", otp="25", python="3.11.7",
        pipeline="p", source="file:a.log", store="sqlite:a.db", claims=None, dead="sqlite:a.db", workers=2,
        guarantee="exactly once", generation="abc"))

def progress(consumed=3, **counts):
    reports.send(dict(COUNTS, kind="progress", consumed=consumed, lag=2048, lag_unit="bytes") | counts)

def end(status=0, text=None, nothing_to_do=False, **counts):
    reports.send(dict(COUNTS, kind="ledger", balanced=True, nothing_to_do=nothing_to_do) | counts)
    reports.send(dict(kind="verdict", status=status, text=text))
    sys.exit(status)

def say(text):
    print(text, file=sys.stderr, flush=True)

def wait():
    say("ready for signals")
    time.sleep(60)
"""

DRAINS = """
def drain(number, frame):
    say("drained")
    end()
signal.signal(signal.SIGTERM, drain)
banner()
wait()
"""
IGNORES = 'signal.signal(signal.SIGTERM, lambda *_: say("not now"))\nbanner()\nwait()\ntime.sleep(60)\n'

MAIN = "from comporta.cli import main; main()"

FILE = """
import comporta as c
pipeline = c.Pipeline("p", metrics=[c.count("n")])
@pipeline.transform
def parse(line): ...
"""


class Workplace:
    """A folder with a pipeline, a log and a fake release in it, where the command can be called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("COMPORTA_")
        }
        self.environment |= {"PYTHONPATH": str(PYTHON), "COMPORTA_RELEASE": str(folder / "release")}
        self.command = [sys.executable, "-c", MAIN]
        (folder / "pipe.py").write_text(FILE)
        (folder / "a.log").write_text("one\ntwo\n")

    def release(self, body: str) -> None:
        """Have the release do this."""
        folder = self.folder / "release"
        (folder / "releases").mkdir(parents=True)
        (folder / "releases" / "start_erl.data").write_text(f"13.1.5 {version('comporta')}")
        script = folder / "bin" / "comporta"
        script.parent.mkdir()
        script.write_text(f"#!{sys.executable}\n{PREAMBLE}\n{textwrap.dedent(body)}")
        script.chmod(0o755)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Call the command."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*self.command, *words], cwd=self.folder, env=self.environment, text=True, **(streams | options)
        )

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call the command, and wait for its end."""
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call `comporta run`."""
        return self.call("run", "pipe.py", "--source", "file:a.log", *words)


def until_said(process: subprocess.Popen[str], text: str) -> str:
    """What a process writes to stderr, up to the line with `text` in it."""
    assert process.stderr is not None
    seen = ""
    while text not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    return seen
