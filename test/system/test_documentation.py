"""Every command that the documentation shows works, and the code that it shows is the example's."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import EXAMPLES, ROOT, Workplace, access_log, statuses
from real_services import RealServices


def commands(page: Path) -> list[str]:
    """The indented blocks' lines that run something of ours, continued lines joined."""
    text = page.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)
    return [line for line in blocks if re.search(r"\.venv/bin/|bin/comporta |^make ", line)]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a command of the documentation finds around it, but with stores and files of its own."""
    for name in (".venv", "_build", "python", "lib", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "examples").symlink_to(EXAMPLES)
    return tmp_path


CLUSTER = re.compile("kafka|cassandra|redis|services")


@pytest.mark.parametrize("page", ["README.md", "examples/README.md"])
def test_every_command_works(checkout: Path, page: str) -> None:
    shown = [line for line in commands(ROOT / page) if not line.startswith("make ")]
    run_all(checkout, [line for line in shown if not CLUSTER.search(line)])


def test_every_command_for_the_cluster_works(checkout: Path, services: RealServices) -> None:
    shown = [line for line in commands(ROOT / "README.md") if CLUSTER.search(line)]
    lines = [line for line in shown if "comporta services" not in line]  # they have tests of their own
    assert len(lines) == len(shown) - 2
    ports = {"9092": services.kafka, "9042": services.cassandra, "6379": services.redis}
    for port, address in ports.items():
        lines = [line.replace(f"127.0.0.1:{port}", address) for line in lines]
    run_all(checkout, lines)


def run_all(checkout: Path, lines: list[str]) -> None:
    assert len(lines) >= 4
    environment = os.environ | {"COMPORTA_UNTIL_END": "true"}
    for line in lines:
        answer = subprocess.run(
            line,
            shell=True,
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert answer.returncode == 0, f"{line}\n{answer.stdout}\n{answer.stderr}"


def test_the_commands_of_make_are_those_that_the_readme_shows() -> None:
    shown = {shlex.split(line)[1] for line in commands(ROOT / "README.md") if line.startswith("make ")}
    assert {"demo", "test"} <= shown
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert shown <= targets
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_the_demo_counts_the_real_log() -> None:
    answer = subprocess.run(["make", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for (status,), count in statuses(access_log()).items():
        assert re.search(rf"^\W*{status}\W+{count:,}\b", answer.stdout, flags=re.MULTILINE), answer.stdout


def test_the_readme_shows_the_example() -> None:
    code = (EXAMPLES / "access_log.py").read_text()
    code = code[code.index("import re") :]
    shown = "".join(f"    {line}".rstrip() + "\n" for line in code.splitlines())
    assert shown in (ROOT / "README.md").read_text()


def test_the_scoring_example_agrees_with_its_model(workplace: Workplace) -> None:
    file = EXAMPLES / "odd_requests.py"
    workplace.run("run", file, "--source", f"file:{EXAMPLES / 'access.log'}", "--until-end")
    whole = workplace.ledger(file)
    assert whole["consumed"] == 10_000
    assert whole["dead"] == 0
    shown = workplace.query(file, "odd_paths")
    assert shown


def test_the_event_example_counts_each_id_once(workplace: Workplace) -> None:
    made = subprocess.run(
        [sys.executable, EXAMPLES / "make_json_events.py"], capture_output=True, check=True
    ).stdout
    workplace.write("events.jsonl", made)
    file = EXAMPLES / "json_events.py"
    workplace.run("run", file, "--source", "file:events.jsonl", "--until-end", "--workers", "2")
    whole = workplace.ledger(file, "--source", "file:events.jsonl")
    ids = set()
    for line in made.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        ids.add(event.get("id", line))
    assert whole["consumed"] == len(made.splitlines())
    assert whole["duplicates"] > 0
    assert whole["counted"] == len(ids)
