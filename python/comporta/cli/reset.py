"""`comporta reset`: count everything again."""

from __future__ import annotations

import click

from comporta import reset as generations
from comporta.cli import options
from comporta.cli.options import START, PipelineFile, option
from comporta.sources import resolve


@click.command()
@options.file_argument
@options.store_option()
@options.source_option("What is read: of Kafka, where to begin is then decided now, else by the next run.")
@option(
    "to",
    type=START,
    metavar="earliest|latest|TIME",
    default="earliest",
    help="Where the next run begins to read.",
)
def reset(file: PipelineFile, store: str | None, source: str | None, to: str) -> None:
    """Begin a new generation of the pipeline in FILE.py: the next run counts everything again.

    What was counted until now is deleted.
    """
    pipeline = file.load()
    sink = options.open_store(options.store_of(pipeline, store))
    current = sink.current(pipeline.name)
    options.check_start(to, "kafka:" if current and current.origin else source)
    origin = resolve(source, to) if source else None
    click.echo(generations.reset(pipeline.definition(), sink, to, origin, source))
