"""The arguments and options that subcommands share, each checked in one place."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from comporta import addresses, loading
from comporta.cli import quantities
from comporta.definition import Pipeline
from comporta.errors import UsageError
from comporta.sinks import Sink, open_sink


def names(text: str) -> list[str]:
    """Names that commas part."""
    return [name for name in text.split(",") if name]


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


Parse = Callable[[str], object]

SQLITE: dict[str, Parse | None] = {"sqlite": None}


def _source(text: str) -> str:
    known: dict[str, Parse | None] = {"file": None, "kafka": addresses.kafka}
    right = "file:logs/*.log, - for stdin, or kafka://127.0.0.1:9092/access"
    return text if text == "-" else _address(text, known, "a source", right)


def _store(text: str) -> str:
    right = "sqlite:.comporta/access-log.db or cassandra://127.0.0.1/comporta"
    return _address(text, {**SQLITE, "cassandra": addresses.cassandra}, "a store", right)


def _claims(text: str) -> str:
    known = {**SQLITE, "redis": addresses.redis, "rediss": addresses.redis}
    right = "redis://127.0.0.1:6379 or sqlite:.comporta/access-log.db"
    return _address(text, known, "a place for claims", right)


def _dead(text: str) -> str:
    right = "kafka://127.0.0.1:9092/access.dead or sqlite:.comporta/access-log.db"
    return _address(text, {**SQLITE, "kafka": addresses.kafka}, "a place for dead letters", right)


def _address(text: str, known: Mapping[str, Parse | None], what: str, right: str) -> str:
    """The URL, if its scheme is one of `known`, and its parser there, if there is one, understands it."""
    given, _, rest = text.partition(":")
    if given not in known or not rest:
        raise ValueError(f"{text!r} is not {what}; give one such as {right}")
    if parse := known[given]:
        parse(text)
    return text


def _start(text: str) -> str:
    if text in ("earliest", "latest"):
        return text
    try:
        return quantities.moment(text).isoformat()
    except ValueError:
        raise ValueError(f"{text!r} is not earliest, latest or a time such as 2015-05-17T10:00:00Z") from None


def _parsed(parse: Callable[[str], object]) -> Callable[[str], object]:
    """A type of options: what `parse` makes of text, or says in a `ValueError` why it cannot."""

    def convert(text: str) -> object:
        try:
            return parse(text)
        except (ValueError, UsageError) as error:
            raise click.BadParameter(str(error)) from None

    return convert


DURATION = _parsed(quantities.duration)
SIZE = _parsed(quantities.size)
TIME = _parsed(quantities.moment)
START = _parsed(_start)
SOURCE = _parsed(_source)
STORE = _parsed(_store)
CLAIMS = _parsed(_claims)
DEAD = _parsed(_dead)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

file_argument = click.argument("file", type=_parsed(_pipeline_file), metavar="FILE.py[:NAME]")


def option(name: str, **settings: Any) -> Decorator:
    """The option `--name`, which is also the environment variable `COMPORTA_NAME`."""
    variable = "COMPORTA_" + name.upper().replace("-", "_")
    return click.option(f"--{name}", envvar=variable, show_envvar=True, **{"show_default": True, **settings})


def store_option(**settings: Any) -> Decorator:
    """Where the results are."""
    default = "" if settings.get("required") else "  [default: sqlite:.comporta/NAME.db]"
    return option("store", type=STORE, metavar="URL", help=f"Where results are kept.{default}", **settings)


def source_option(help: str, **settings: Any) -> Decorator:
    """What is read."""
    return option("source", type=SOURCE, metavar="URL", help=help, **settings)


def dead_option() -> Decorator:
    """Where dead letters are kept."""
    return option(
        "dead",
        type=DEAD,
        metavar="URL",
        help="Where dead letters are kept.  [default: TOPIC.dead of a Kafka source, else the SQLite store]",
    )


def format_option(*formats: str) -> Decorator:
    """How the answer is written, the first of `formats` if nothing is said."""
    return option("format", type=click.Choice(formats), default=formats[0], help="How to write the answer.")


def store_of(pipeline: Pipeline, store: str | None) -> str:
    """The store's URL: the one given, or the one that a pipeline has by default."""
    return store or f"sqlite:.comporta/{pipeline.name}.db"


def open_store(url: str, **settings: Any) -> Sink:
    """The sink that a URL names, closed when the command ends."""
    sink = open_sink(url, **{"create": False, **settings})
    click.get_current_context().call_on_close(sink.close)
    return sink


def check_start(start: str, source: str | None) -> None:
    """Raise `UsageError` if a source of files is to begin at a time, which its lines do not have."""
    if start not in ("earliest", "latest") and (source is None or addresses.scheme(source) != "kafka"):
        raise click.UsageError(
            "only a Kafka source can begin at a time: lines of a file have none before the transform runs;"
            " give earliest or latest"
        )
