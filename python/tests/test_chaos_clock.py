"""A clock that is wrong shows another time of day, and measures and sleeps as before."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from comporta.chaos import clock
from comporta.chaos.clock import Clock

SHOW = """
import datetime, threading, time
for _ in iter(input, ""):
    began = time.monotonic()
    time.sleep(0.001)
    threading.Event().wait(0.001)
    threading.Lock().acquire(timeout=0.001)
    print(time.time(), datetime.datetime.now().timestamp(), began, flush=True)
"""


def test_a_clock_jumps_and_returns(tmp_path: Path) -> None:
    if words := clock.missing():
        assert "compiler" in words
        return
    clocks = Clock(tmp_path / "clocks")
    clocks.environment("two")
    with subprocess.Popen(
        [sys.executable, "-c", SHOW],
        env=os.environ | clocks.environment("one"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for hours in (0, 5, -7, 0):
            clocks.set("one", hours)
            clocks.set("two", 3 - hours)
            process.stdin.write("show\n")
            process.stdin.flush()
            *shown, measured = map(float, process.stdout.readline().split())
            assert [round((each - time.time()) / 3600) for each in shown] == [hours, hours]
            assert round((measured - time.monotonic()) / 3600) == 0
        process.stdin.write("\n")
