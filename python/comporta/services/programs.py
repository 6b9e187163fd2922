"""What the services need on the machine: found, or said in one error what to install."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from comporta.errors import ComportaError

JAVA = 17
PACKAGES = {
    "java": "openjdk-17-jre-headless",
    "mvn": "maven",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
}


def need(names: Iterable[str]) -> None:
    """Raise `ComportaError`, which says what to install, unless all of these programs are there."""
    missing = [name for name in dict.fromkeys(names) if not _usable(name)]
    if not Path("/proc/self/stat").exists():
        raise ComportaError("services are processes of Linux here; elsewhere use deploy/compose.yaml")
    if missing:
        packages = " ".join(PACKAGES[name] for name in missing)
        words = [f"java {JAVA} or newer" if name == "java" else name for name in missing]
        raise ComportaError(
            f"missing on this machine: {', '.join(words)}; on Debian or Ubuntu, as root: "
            f"apt-get install --no-install-recommends {packages}"
        )


def _usable(name: str) -> bool:
    path = shutil.which(name)
    if path is None or name != "java":
        return path is not None
    try:
        said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return False
    version = re.search(r'version "(\d+)', said)
    return version is not None and int(version[1]) >= JAVA
