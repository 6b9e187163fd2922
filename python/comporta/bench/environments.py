"""Virtual environments with pinned requirements, made once and kept."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from comporta.bench.system import Unavailable
from comporta.services import folders

STAMP = "requirements.txt"  # written last: an environment without it was never finished


def make(cache: Path, name: str, requirements: Sequence[str]) -> str:
    """The Python of the environment in `cache/name` with these requirements. Raises `Unavailable`."""
    folder = cache / name
    python = str(folder / "bin" / "python")
    wanted = "\n".join([f"# Python {sys.version.split()[0]}", *requirements, ""])
    with folders.locked(cache / f"{name}.lock", lambda: None):
        stamp = folder / STAMP
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            for command in (
                [sys.executable, "-m", "venv", str(folder)],
                [python, "-m", "pip", "install", "-q", *requirements],
            ):
                _run(f"{name} ({', '.join(requirements)})", command)
            stamp.write_text(wanted)
    return python


def _run(what: str, command: Sequence[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()] or lines[-1:] or ["pip failed"]
        raise Unavailable(f"{what}: {errors[0].strip()}")
