"""How answers are written to stdout: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from comporta.errors import ComportaError

Value = str | int | float | bool | None


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
    """Write rows under their columns' names, numbers to the right: boxed on a terminal, else aligned."""
    values = list(rows)
    cells = [[_cell(value) for value in row] for row in values]
    right = [
        all(isinstance(row[index], (int, float)) or row[index] is None for row in values)
        for index in range(len(columns))
    ]
    if sys.stdout.isatty():
        _boxed(columns, cells, right)
    else:
        _aligned(columns, cells, right)


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


def _aligned(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    lines = [columns, *cells]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip())
