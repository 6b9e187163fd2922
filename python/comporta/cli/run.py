"""`comporta run`: start the release, show how it goes, and end as it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from comporta import notes
from comporta.addresses import dead_letters, scheme
from comporta.cli import display, options, output
from comporta.cli.checkout import check_native
from comporta.cli.display import Display
from comporta.cli.options import DURATION, SIZE, START, PipelineFile, option
from comporta.cli.release import Release, find_release
from comporta.cli.supervision import Supervision
from comporta.instances import given_id
from comporta.runs import About, Note

COUNTS = ("consumed", "counted", "dropped", "duplicates", "dead", "in_flight", "balanced")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command()
@options.file_argument
@options.source_option("What to read: file:GLOB, - for stdin, or kafka://HOST/TOPIC.", required=True)
@options.store_option()
@option(
    "claims",
    type=options.CLAIMS,
    metavar="URL",
    help="Where event ids are claimed.  [default: the SQLite store]",
)
@options.dead_option()
@option(
    "workers",
    type=click.IntRange(min=1),
    default=cores,
    show_default="cores",
    help="Python processes to compute in.",
)
@option(
    "start",
    type=START,
    metavar="earliest|latest|TIME",
    default="earliest",
    help="Where what is there at the first run is read from.",
)
@option("until-end", is_flag=True, help="Stop at the end that the source has now.")
@option(
    "flush-every", type=DURATION, metavar="DURATION", default="1s", help="How often results are made durable."
)
@option(
    "batch-timeout",
    type=DURATION,
    metavar="DURATION",
    default="60s",
    help="How long a worker may take for a batch.",
)
@option(
    "worker-memory",
    type=SIZE,
    metavar="SIZE",
    default="1GiB",
    help="The memory at which a worker is replaced.",
)
@option(
    "max-in-flight",
    type=SIZE,
    metavar="SIZE",
    default="256MiB",
    help="How much may be read and not yet be counted.",
)
@option("drain-timeout", type=DURATION, metavar="DURATION", default="30s", help="How long stopping may take.")
@option("web", type=click.Choice(["off"]), default="off", help="There is no page yet.")
@option(
    "profile",
    is_flag=True,
    help="Show where the time goes: reading, decoding, the transform, summing up, folding, flushing.",
)
@option(
    "log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    is_eager=True,
    help="How stdout and stderr are written.",
)
def run(file: PipelineFile, **given: Any) -> int:
    """Run the pipeline of FILE.py, until its source ends (--until-end) or for ever.

    SIGTERM and Ctrl-C drain: what has been read is finished. A second Ctrl-C stops at once, and loses
    nothing: the next run goes on from what was flushed.
    """
    options.check_start(given["start"], given["source"])
    dead_letters(given["dead"], given["source"], given["store"] or "sqlite:")
    if given["source"] == "-" and sys.stdin is None:
        raise click.UsageError("--source - reads stdin, which is closed: give it something to read")
    log_format = given["log_format"]
    shown = display.choose(log_format)
    folder = find_release()
    check_native()
    with noted(file, given["source"], shown) as note:
        release = Release(folder, settings(file, given))
        supervision = Supervision(
            release, shown, given["drain_timeout"] / 1000, note, profile=given["profile"]
        )
        status, words = supervision.watch()
        if note:
            note.add(status=status)
    if words:
        shown.say("error" if status else "info", words)
    if supervision.profile:
        shown.profile(supervision.profile)
    if supervision.ledger:
        needed = ["store", "dead"] + (["source"] if scheme(given["source"]) == "kafka" else [])
        again = "".join(f" --{name} {given[name]}" for name in needed if given[name])
        conclude(supervision.ledger, shown, f"{file}{again}", is_json=log_format == "json")
    return status


@contextmanager
def noted(file: PipelineFile, source: str, shown: Display) -> Iterator[Note | None]:
    """A note of this run while it lasts, or a warning that there is none."""
    about = About(
        file=str(Path(file.path).absolute()), source=source, instance=given_id(), pipeline=file.name
    )
    try:
        note = Note(about)
    except OSError as error:
        shown.say("warning", f"`comporta drain` will not find this run: {error.filename}: {error.strerror}")
        yield None
        return
    try:
        yield note
    finally:
        note.close()


def conclude(ledger: Mapping[str, Any], shown: Display, words: str, *, is_json: bool) -> None:
    """Write the ledger to stdout, and what is worth a word about it to stderr.

    `words` are what `comporta dead list` needs to know.
    """
    if ledger["nothing_to_do"]:
        shown.say("info", "nothing to do: everything up to the source's end had been dealt with already")
    if is_json:
        output.write_json([ledger])
    else:
        output.write_table(COUNTS, [[ledger[name] for name in COUNTS]])
    for line in notes.lines(notes.LOSSES | notes.ROWS, ledger):
        shown.say("warning", line)
    dead = ledger["dead"]
    if dead:
        letters = "1 dead letter" if dead == 1 else f"{dead:,} dead letters"
        shown.say("warning", f"{letters}: see `comporta dead list {words}`")


def settings(file: PipelineFile, given: dict[str, Any]) -> dict[str, str]:
    """The release's variables, of the options given; one that was not is empty."""
    units = dict.fromkeys(("flush_every", "batch_timeout", "drain_timeout"), "ms")
    units |= dict.fromkeys(("worker_memory", "max_in_flight"), "B")
    variables = {
        name: _text(value) + units.get(name, "")
        for name, value in given.items()
        if name not in ("web", "profile")
    }
    variables |= {"file": str(file), "python": sys.executable}
    if given["source"] == "-":
        variables["stdin"] = f"/proc/{os.getpid()}/fd/0"
    return {f"COMPORTA_{name.upper()}": value for name, value in variables.items()}


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
    return str(value)
