"""How answers are written to stdout: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from comporta.errors import ComportaError

Value = str | int | float | bool | None

LONGEST = 100  # characters of a value in a table that may have long ones
BLOCK = 1000  # rows of a table that are laid out together


@contextmanager
def _while_read() -> Iterator[None]:
    """Stop writing, and call that no error, once nobody reads it any more: `head` has seen enough.

    Raises `ComportaError` where stdout cannot be written for any other reason.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        raise ComportaError(f"the answer cannot be written to stdout: {error.strerror}") from error


@_while_read()
def write_table(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """Write rows under their columns' names, numbers to the right: boxed on a terminal, else aligned.

    There may be any number of rows: only a block of them is in memory.
    """
    rest = iter(rows)
    values = list(islice(rest, BLOCK))
    right = [
        all(isinstance(row[index], (int, float)) or row[index] is None for row in values)
        for index in range(len(columns))
    ]
    widths = [len(column) for column in columns]
    is_first = True
    while values or is_first:
        cells = [[_cell(value) for value in row] for row in values]
        if sys.stdout.isatty():
            _boxed(columns, cells, right)
        else:
            widths = [max([width, *(len(row[at]) for row in cells)]) for at, width in enumerate(widths)]
            _aligned([columns, *cells] if is_first else cells, widths, right)
        values, is_first = list(islice(rest, BLOCK)), False


@_while_read()
def write_json(objects: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object a line."""
    for item in objects:
        print(json.dumps(item, ensure_ascii=False, allow_nan=False))


@_while_read()
def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """Write CSV as RFC 4180 has it, the columns' names first."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows(rows)


def label(value: Value) -> str | None:
    """A value that names something, in which thousands are not separated: 2015 is a year."""
    return value if isinstance(value, str | None) else json.dumps(value)


def short(value: Value) -> Value:
    """A value that may be a long text, as a table shows it."""
    return f"{value[: LONGEST - 3]}..." if isinstance(value, str) and len(value) > LONGEST else value


def printable(text: str) -> str:
    """The text with what would move a terminal's cursor, or worse, written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def silence(stream: TextIO) -> None:
    """Have what is written from now on, and what is still buffered, go nowhere: nobody reads it any more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _cell(value: Value) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return printable(value)


def _boxed(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    table = Table()
    for column, is_number in zip(columns, right, strict=True):
        table.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def _aligned(lines: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[bool]) -> None:
    for line in lines:
        padded = (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())
