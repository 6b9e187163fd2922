"""What runs on Java: downloaded once by Maven into the cache, whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from comporta.errors import ComportaError
from comporta.services import folders, programs

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>comporta</groupId>
  <artifactId>{name}</artifactId>
  <version>1</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
DEPENDENCY = """\
    <dependency>
      <groupId>{0}</groupId>
      <artifactId>{1}</artifactId>
      <version>{2}</version>
    </dependency>"""


def folder_of(name: str) -> Path:
    """Where the jars of `name`, which has the version in it, are once they are downloaded."""
    return folders.cache() / "jars" / name


def fetch(name: str, artifacts: Sequence[str], say: Callable[[str], None]) -> Path:
    """The folder of the jars that `artifacts` (`group:artifact:version`) need, downloaded where missing.

    Raises `ComportaError` if Maven fails.
    """
    folder = folder_of(name)
    if folder.is_dir():
        return folder
    programs.need(["mvn"])
    parent = folders.make(folder.parent)
    # One lock for all: Maven's own repository bears no two downloads at once.
    with folders.locked(parent / "lock", lambda: say("waiting for another download")):
        if not folder.is_dir():
            say(f"downloading {name} with Maven, once")
            with tempfile.TemporaryDirectory(dir=parent, prefix=".") as temporary:
                _download(name, artifacts, Path(temporary)).rename(folder)
    return folder


def classpath(folder: Path) -> str:
    """All jars in the folder, always in the same order."""
    return ":".join(map(str, sorted(folder.glob("*.jar"))))


def pom(name: str, artifacts: Sequence[str]) -> str:
    """What Maven is told to fetch."""
    dependencies = "\n".join(DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)
    return POM.format(name=name, dependencies=dependencies)


def _download(name: str, artifacts: Sequence[str], temporary: Path) -> Path:
    file, jars = temporary / "pom.xml", temporary / "jars"
    file.write_text(pom(name, artifacts))
    command = [shutil.which("mvn") or "mvn", "-q", "-B", "-f", str(file), PLUGIN]
    command += [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0 or not any(jars.glob("*.jar")):
        lines = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        raise ComportaError(f"{name} cannot be downloaded: {' '.join(lines[:1]) or 'mvn failed'}")
    return jars
