"""The job: lines of an access log, generated from a seed, to be counted by minute, status and method.

Nothing but the standard library is needed, and nothing of Comporta: a system in an environment of its own
imports this file by its path.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

LINE = re.compile(rb'\S+ \S+ \S+ \[([^\]]+)\] "(\S+) (\S+)[^"]*" (\d{3}) (\d+|-)')
TIME_FORMAT = "%d/%b/%Y:%H:%M:%S %z"
SPREAD = 7919  # a prime, so that paths come in no order, and as many lines as paths have each once
MINUTES = 10  # over which the lines are spread
START = datetime(2015, 5, 17, 10, tzinfo=timezone.utc)
SAMPLE = Path(__file__).with_name("access.log")

Group = tuple[int, int, str]
"""A minute, as the unix time of its start, a status and a method."""
Totals = dict[Group, tuple[int, int]]
"""How many lines and how many bytes each group has."""


def parse(line: bytes) -> tuple[int, int, str, int]:
    """The minute, the status, the method and the bytes of a line. Raises `ValueError`."""
    match = LINE.match(line)
    if match is None:
        raise ValueError("not a line of the combined format")
    time, method, status, size = match.group(1, 2, 4, 5)
    return minute(time), int(status), method.decode(), 0 if size == b"-" else int(size)


def parse_with_path(line: bytes) -> tuple[int, int, str, int, str]:
    """What `parse` gives, and the path. Raises `ValueError`."""
    match = LINE.match(line)
    if match is None:
        raise ValueError("not a line of the combined format")
    time, method, path, status, size = match.groups()
    return minute(time), int(status), method.decode(), 0 if size == b"-" else int(size), path.decode()


@lru_cache(maxsize=4096)
def minute(time: bytes) -> int:
    """The unix time of the start of the minute that a line's time is in."""
    seconds = int(datetime.strptime(time.decode(), TIME_FORMAT).timestamp())
    return seconds - seconds % 60


class Shape(NamedTuple):
    """How lines differ from those of the sample: with `paths` other than 0, so many paths instead of theirs;
    with `ids`, an id of its own at the end of each, after a space; with `length` other than 0, digits by
    chance at the end of each, so that it has at least so many bytes."""

    paths: int = 0
    ids: bool = False
    length: int = 0


PLAIN = Shape()


def generate(seed: int, lines: int, shape: Shape = PLAIN) -> Iterator[bytes]:
    """Lines of the sample in an order by chance, their times moved to be spread evenly over `MINUTES`."""
    chance = random.Random(seed)
    for number, (line, time) in enumerate(_drawn(seed, lines)):
        request = line.request
        if shape.paths:
            method, _, version = request.split(b" ")
            request = b"%b /articles/%d %b" % (method, number * SPREAD % shape.paths, version)
        made = b'%b[%b] "%b"%b' % (line.before, time[0], request, line.after)
        if shape.ids:
            made = b"%b %016x" % (made, number)
        if shape.length > len(made):
            missing = shape.length - len(made)
            made += b" " + chance.randbytes(missing // 2 + 1).hex().encode()[: missing - 1]
        yield made


def expected(seed: int, lines: int) -> Totals:
    """What is right for the lines of a seed, whatever their shape; found without any regular expression."""
    totals: Totals = {}
    for line, (_, start) in _drawn(seed, lines):
        group = (start, line.status, line.method)
        count, size = totals.get(group, (0, 0))
        totals[group] = count + 1, size + line.size
    return totals


class _Line(NamedTuple):
    before: bytes
    request: bytes
    after: bytes
    method: str
    status: int
    size: int


def _drawn(seed: int, lines: int) -> Iterator[tuple[_Line, tuple[bytes, int]]]:
    """For each line: one of the sample, and its new time, as text and as the start of its minute."""
    sample = _sample()
    chance = random.Random(seed).random
    seconds = MINUTES * 60
    for second in range(seconds):
        moment = START + timedelta(seconds=second)
        time = moment.strftime(TIME_FORMAT).encode(), int(moment.timestamp()) // 60 * 60
        for _ in itertools.repeat(None, lines * (second + 1) // seconds - lines * second // seconds):
            yield sample[int(chance() * len(sample))], time


@lru_cache(maxsize=1)
def _sample() -> list[_Line]:
    return [_taken_apart(line) for line in SAMPLE.read_bytes().splitlines()]


def _taken_apart(line: bytes) -> _Line:
    before, _, rest = line.partition(b"[")
    request, _, after = rest.partition(b'] "')[2].partition(b'"')
    status, size = after.split()[:2]
    method = request.split()[0].decode()
    return _Line(before, request, after, method, int(status), 0 if size == b"-" else int(size))
