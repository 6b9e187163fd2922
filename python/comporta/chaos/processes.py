"""Processes of this machine as parents and children, and what part of a run each of them is."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path


def living() -> dict[int, tuple[int, str]]:
    """Every living process: its parent and its command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(entry.name)] = (int(parent), line)
    return found


def tree(root: int) -> dict[int, str]:
    """The process `root` and all that descend from it, with their command lines, parents first."""
    everything = living()
    found = {root: everything[root][1]} if root in everything else {}
    grown = True
    while grown:
        more = {
            pid: line for pid, (parent, line) in everything.items() if parent in found and pid not in found
        }
        found |= more
        grown = bool(more)
    return found


def role(line: str) -> str | None:
    """What part of a run a command line is: `beam`, or the name of a Python program."""
    if "beam.smp" in line:
        return "beam"
    program = re.search(r"-m comporta\.(\w+)", line)
    return program[1] if program else None


def marked(name: str, value: str) -> dict[int, str]:
    """The processes that began with a variable in their environment, with their command lines."""
    mark = f"{name}={value}".encode()
    found = {}
    for pid, (_, line) in living().items():
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found[pid] = line
    return found


def resident(pid: int) -> int | None:
    """The bytes that a process has resident; None where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def send(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal, SIGKILL if no other is given; nothing happens where the process has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_tree(root: int) -> None:
    """End a process and all that descend from it at once."""
    for pid in tree(root):
        send(pid)
