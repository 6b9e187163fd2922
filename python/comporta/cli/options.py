"""The arguments and options that subcommands share, each checked in one place."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from comporta import loading
from comporta.cli import quantities
from comporta.definition import Pipeline

LATER = ("kafka", "cassandra", "redis", "rediss")


class PipelineFile(NamedTuple):
    """A `FILE.py`, or `FILE.py:name` for one of several pipelines in it."""

    path: str
    name: str | None

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else self.path

    def load(self) -> Pipeline:
        """What the file defines. What it prints meanwhile goes to stderr. Raises `DefinitionError`."""
        with contextlib.redirect_stdout(sys.stderr):
            return loading.load(self.path, None, self.name)


def _pipeline_file(text: str) -> PipelineFile:
    match = re.fullmatch(r"(.+\.py):([^/:]+)", text, re.DOTALL)
    file = PipelineFile(match[1], match[2]) if match else PipelineFile(text, None)
    if not Path(file.path).is_file():
        raise ValueError(f"there is no file {file.path!r}; give the Python file that defines the pipeline")
    return file


def _source(text: str) -> str:
    return text if text == "-" else _address(text, "file", "a source", "file:logs/*.log, or - for stdin")


def _store(text: str) -> str:
    return _address(text, "sqlite", "a store", "sqlite:.comporta/access-log.db")


def _address(text: str, scheme: str, what: str, example: str) -> str:
    given, _, rest = text.partition(":")
    if given == scheme and rest:
        return text
    if given in LATER:
        raise ValueError(f"this version runs on files, stdin and SQLite, not on {given}: give {example}")
    raise ValueError(f"{text!r} is not {what}; give one such as {example}")


def _start(text: str) -> str:
    if text in ("earliest", "latest"):
        return text
    raise ValueError(
        f"{text!r} is not earliest or latest; lines of a file have no time before the transform runs"
    )


def _parsed(parse: Callable[[str], object]) -> Callable[[str], object]:
    """A type of options: what `parse` makes of text, or says in a `ValueError` why it cannot."""

    def convert(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return convert


DURATION = _parsed(quantities.duration)
SIZE = _parsed(quantities.size)
TIME = _parsed(quantities.moment)
START = _parsed(_start)
SOURCE = _parsed(_source)
STORE = _parsed(_store)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

file_argument = click.argument("file", type=_parsed(_pipeline_file), metavar="FILE.py[:NAME]")


def option(name: str, **settings: Any) -> Decorator:
    """The option `--name`, which is also the environment variable `COMPORTA_NAME`."""
    variable = "COMPORTA_" + name.upper().replace("-", "_")
    return click.option(f"--{name}", envvar=variable, show_envvar=True, **{"show_default": True, **settings})


def store_option() -> Decorator:
    """Where the results are."""
    return option(
        "store",
        type=STORE,
        metavar="URL",
        help="Where results are kept.  [default: sqlite:.comporta/NAME.db]",
    )


def source_option(help: str, **settings: Any) -> Decorator:
    """What is read."""
    return option("source", type=SOURCE, metavar="URL", help=help, **settings)


def dead_option() -> Decorator:
    """Where dead letters are kept, which with SQLite is always the store."""
    return option(
        "dead", type=STORE, metavar="URL", help="Where dead letters are kept.  [default: the store]"
    )


def format_option(*formats: str) -> Decorator:
    """How the answer is written, the first of `formats` if nothing is said."""
    return option("format", type=click.Choice(formats), default=formats[0], help="How to write the answer.")


def store_of(pipeline: Pipeline, store: str | None) -> str:
    """The store's URL: the one given, or the one that a pipeline has by default."""
    return store or f"sqlite:.comporta/{pipeline.name}.db"


def check_dead(dead: str | None, store: str | None) -> None:
    """Raise `UsageError` if dead letters are to be anywhere but in the store."""
    if dead is not None and dead != store:
        raise click.UsageError(
            "an SQLite store keeps the dead letters itself: leave --dead out, or give what --store is"
        )
