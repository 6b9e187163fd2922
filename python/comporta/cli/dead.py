"""`comporta dead`: dead letters listed, shown and replayed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

from comporta import dead as letters_of
from comporta import debugging
from comporta.cli import options, output
from comporta.cli.options import PipelineFile, option
from comporta.dead import Letters
from comporta.definition import Pipeline
from comporta.errors import ComportaError
from comporta.letters import identity, to_text
from comporta.payloads import Letter

LISTED = ("id", "shown", "at", "reason", "error", "replayed")


def letter_options(command: Any) -> Any:
    """What all these subcommands take."""
    for decorate in (
        options.format_option("table", "json"),
        options.source_option("What is read, if that is Kafka: letters are beside it."),
        options.dead_option(),
        options.store_option(),
    ):
        command = decorate(command)
    return command


def open_dead(file: PipelineFile, store: str | None, source: str | None, dead: str | None) -> Letters:
    """The dead letters of the pipeline in `file`."""
    return _open(file.load(), store, source, dead)


def _open(pipeline: Pipeline, store: str | None, source: str | None, dead: str | None) -> Letters:
    url = options.store_of(pipeline, store)
    return letters_of.open_dead(pipeline, options.open_store(url), url, source, dead)


@click.group()
def dead() -> None:
    """Records that could not be counted: listed, shown, replayed."""


@dead.command("list")
@options.file_argument
@letter_options
def list_letters(
    file: PipelineFile, store: str | None, source: str | None, dead: str | None, format: str
) -> None:
    """List the dead letters of the pipeline in FILE.py."""
    letters = open_dead(file, store, source, dead)
    listed = (summary(letter, replayed) for letter, replayed in letters_of.listed(*letters))
    if format == "json":
        output.write_json(listed)
        return
    rows = [[output.short(line[name]) for name in LISTED] for line in listed]
    if rows:
        output.write_table(LISTED, rows)
    else:
        click.echo("there are no dead letters", err=True)


@dead.command()
@options.file_argument
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@letter_options
def show(
    file: PipelineFile,
    ids: Sequence[str],
    store: str | None,
    source: str | None,
    dead: str | None,
    format: str,
) -> None:
    """Show dead letters whole: the record, why it is one, and the traceback."""
    letters = open_dead(file, store, source, dead)
    found = [letters_of.find(letters.store, text) for text in ids]
    if format == "json":
        output.write_json(whole(letter) for letter in found)
        return
    for letter in found:
        for name, value in whole(letter).items():
            if value not in (None, [], {}) and name != "traceback":
                click.echo(f"{name:10} {output.printable(str(value))}")
        if letter["traceback"]:
            click.echo(letter["traceback"].rstrip())
        click.echo()


@dead.command()
@options.file_argument
@click.argument("ids", nargs=-1, metavar="[ID...]")
@option("all", is_flag=True, help="Replay all that have not been replayed.")
@letter_options
def replay(
    file: PipelineFile,
    ids: Sequence[str],
    all: bool,
    store: str | None,
    source: str | None,
    dead: str | None,
    format: str,
) -> None:
    """Give dead letters to the pipeline again: the run that is under way, or the next, takes them."""
    if bool(ids) == all:
        raise click.UsageError("give the ids of dead letters, or --all")
    letters = open_dead(file, store, source, dead)
    chosen = letters_of.replay(*letters, None if all else ids)
    if format == "json":
        output.write_json({"id": to_text(letter)} for letter in chosen)
    else:
        click.echo(f"{len(chosen):,} to be replayed by the run that is under way, or by the next one")


@dead.command()
@options.file_argument
@click.argument("id")
@options.store_option()
@options.dead_option()
@options.source_option("What is read, if that is Kafka: letters are beside it.")
def debug(file: PipelineFile, id: str, store: str | None, source: str | None, dead: str | None) -> None:
    """Run a dead letter's record again, in this process, under pdb.

    It stops at the transform's first line; what is raised is looked at where it was raised.
    """
    pipeline = file.load()
    letter = letters_of.find(_open(pipeline, store, source, dead).store, id)
    click.echo(f"{id} is dead of {letter['reason']}: {output.printable(letter['error'])}", err=True)
    if letter["code"] and letter["code"] != pipeline.code:
        click.echo("FILE.py is not what it was then", err=True)
    if not debugging.debug(pipeline.runner(), letters_of.decoded(letter)):
        raise ComportaError(f"{id} failed again")


def summary(letter: Letter, replayed: bool) -> dict[str, Any]:
    """What a list says of a letter."""
    return {
        "id": to_text(identity(letter)),
        "shown": letter["shown"],
        "partition": letter["partition"],
        "offset": letter["offset"],
        "attempt": letter["attempt"],
        "length": letter["length"],
        "at": _time(letter["at"]),
        "reason": letter["reason"],
        "error": letter["error"],
        "replayed": replayed,
    }


def whole(letter: Letter) -> dict[str, Any]:
    """All of a letter, as JSON has it. Bytes are text, or `{"base64": ...}` where they are not UTF-8."""
    return {
        "id": to_text(identity(letter)),
        **letter,
        "at": _time(letter["at"]),
        "timestamp": _time(letter["timestamp"]),
        "value": _bytes(letter["value"]),
        "key": _bytes(letter["key"]),
        "headers": [[name, _bytes(value)] for name, value in letter["headers"]],
    }


def _bytes(data: bytes | None) -> str | dict[str, str] | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
