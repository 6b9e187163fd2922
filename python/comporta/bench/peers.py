"""How the programs of the systems beside Comporta are installed, compiled and started.

A program in Python gets one argument, the task in JSON (`programs/share.py` reads it); one in Java gets the
same as words (`programs/Task.java`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from comporta.bench import environments
from comporta.bench import job as the_job
from comporta.bench.system import Job, System, Unavailable
from comporta.errors import ComportaError
from comporta.services import jars
from comporta.services import programs as needed

PROGRAMS = Path(__file__).with_name("programs")


class PythonPeer(System):
    """Runs in a virtual environment of its own; `python` is its interpreter, once it is installed."""

    requirements: ClassVar[tuple[str, ...]]

    def install(self, cache: Path) -> None:
        self.python = environments.make(cache, self.name, self.requirements)


class PythonPeerWithJars(PythonPeer):
    """Needs jars besides, which are kept in a folder of that name: once installed, they are in `found`."""

    folder: ClassVar[str]
    jars: ClassVar[tuple[str, ...]]

    def install(self, cache: Path) -> None:
        super().install(cache)
        self.found = sorted(download(self.folder, self.jars).glob("*.jar"))


class JavaPeer(System):
    """A program upon jars, which are kept in a folder of that name; once installed, it has a `classpath`."""

    program: ClassVar[str]
    folder: ClassVar[str]
    jars: ClassVar[tuple[str, ...]]

    def install(self, cache: Path) -> None:
        jars = download(self.folder, self.jars)
        self.classpath = compiled(cache, f"{self.name}-classes", jars, self.program)

    def commands(self, job: Job) -> list[list[str]]:
        """One JVM."""
        return [java(self.classpath, self.program, job)]


def download(name: str, artifacts: Sequence[str]) -> Path:
    """The folder of the jars that these artifacts need, fetched by Maven. Raises `Unavailable`."""
    try:
        needed.need(["java"])
        return jars.fetch(name, artifacts, lambda line: None)
    except ComportaError as error:
        raise Unavailable(f"{name}: {error}") from error


def compiled(cache: Path, name: str, folder: Path, source: str) -> str:
    """Compile a program in Java into `cache/name`: its class path, with the jars. Raises `Unavailable`."""
    javac = shutil.which("javac")
    if javac is None:
        raise Unavailable(f"{name}: no javac; on Debian or Ubuntu: apt-get install openjdk-17-jdk-headless")
    classes = cache / name
    shutil.rmtree(classes, ignore_errors=True)
    files = [str(PROGRAMS / f"{each}.java") for each in ("Task", "Tally", source)]
    command = [javac, "-d", str(classes), "-cp", jars.classpath(folder), *files]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"{name} ({folder.name}): {(done.stderr.splitlines() or ['javac failed'])[0]}")
    return f"{classes}:{jars.classpath(folder)}"


def java(classpath: str, main: str, job: Job, *more: str) -> list[str]:
    """The command of a program in Java; `more` is what only this one is told."""
    words = [job.kafka, job.topic, job.group, job.partitions, job.lines, job.processes, job.folder]
    told = [*map(str, words), the_job.LINE.pattern.decode()]
    return [shutil.which("java") or "java", "-cp", classpath, main, *told, *more]


def python(interpreter: str, program: str, job: Job, number: int = 0, **more: object) -> list[str]:
    """The command of a program in Python; `number` tells the processes of one run apart."""
    known = job._asdict() | {"folder": str(job.folder), "file": str(job.file), "group": job.group}
    told = known | {"number": number, "job": the_job.__file__, "more": more}
    return [interpreter, str(PROGRAMS / f"{program}.py"), json.dumps(told)]


def each(interpreter: str, program: str, job: Job, **more: object) -> list[list[str]]:
    """As many processes of a program in Python as the job is to have."""
    return [python(interpreter, program, job, number, **more) for number in range(job.processes)]
