"""The systems that `comporta bench` runs in environments of their own: what they pin, and what they start."""

import json
from pathlib import Path

import pytest

from comporta.bench import environments, job, peers
from comporta.bench.system import Job, Unavailable
from comporta.bench.systems import bytewax, faust, java, kafka_streams, pyflink, pyspark, quix, storm
from comporta.errors import ComportaError
from comporta.services import jars

PYTHON = [bytewax.Bytewax, quix.Quix, storm.Storm, faust.Faust, pyspark.PySpark, pyflink.PyFlink]
JAVA = [java.Java, kafka_streams.KafkaStreams, storm.Storm]


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Nothing is installed, but where it would be is known."""
    monkeypatch.setattr(environments, "make", lambda cache, name, requirements: f"{cache}/{name}/python")
    monkeypatch.setattr(peers, "download", lambda name, artifacts: tmp_path / name)
    monkeypatch.setattr(peers, "compiled", lambda cache, name, folder, source: f"{cache}/{name}")


def a_job(folder):
    return Job("127.0.0.1:9092", "lines", 4, 1000, 2, folder / "run-1", folder / "lines.log")


@pytest.mark.parametrize("system", PYTHON)
def test_pins_every_requirement_and_names_its_version(system):
    assert all(line.count("==") == 1 for line in system.requirements)
    assert all(artifact.count(":") == 2 for artifact in getattr(system, "jars", ()))
    main = system.requirements[0].partition("==")[2]
    assert main in system.title


@pytest.mark.parametrize("system", [each for each in PYTHON if each is not storm.Storm])
def test_tells_each_process_its_task(installed, tmp_path, system):
    made = system()
    made.install(tmp_path)
    commands = made.commands(a_job(tmp_path))
    told = [json.loads(command[2]) for command in commands]
    assert [each["number"] for each in told] == list(range(len(commands)))
    assert {each["group"] for each in told} == {"bench-run-1"}
    assert all(Path(command[1]).is_file() for command in commands)


@pytest.mark.parametrize("system", JAVA)
def test_gives_java_the_same_expression(installed, tmp_path, system):
    made = system()
    made.install(tmp_path)
    (command,) = made.commands(a_job(tmp_path))
    assert job.LINE.pattern.decode() in command
    main = command[command.index("-cp") + 2]
    assert (peers.PROGRAMS / f"{main}.java").is_file()


def test_jars_that_cannot_be_had_are_named(monkeypatch):
    def fail(name, artifacts, say):
        raise ComportaError("mvn failed")

    monkeypatch.setattr(jars, "fetch", fail)
    with pytest.raises(Unavailable, match=r"^some-1\.0: mvn failed$"):
        peers.download("some-1.0", ["a:b:1.0"])
