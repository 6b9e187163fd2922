"""`comporta init`: a store made ready, and where reading begins decided."""

from __future__ import annotations

import click

from comporta.addresses import dead_letters
from comporta.beginning import begin
from comporta.cli import options
from comporta.cli.options import START, PipelineFile, option
from comporta.sinks import init_store


@click.command()
@options.file_argument
@options.store_option(required=True)
@options.source_option("What will be read; of Kafka, where reading begins is decided now.")
@options.dead_option()
@option("start", type=START, metavar="earliest|latest|TIME", default="earliest", help="Where reading begins.")
@option(
    "replication",
    type=click.IntRange(min=1),
    help="How many nodes keep each row of a keyspace that is made.  [default: 3, or all that there are]",
)
def init(
    file: PipelineFile,
    store: str,
    source: str | None,
    dead: str | None,
    start: str,
    replication: int | None,
) -> None:
    """Make ready what the pipeline in FILE.py needs: keyspace and tables, and its first generation.

    What is there already stays as it is.
    """
    options.check_start(start, source or "kafka:")
    pipeline = file.load()
    click.echo(init_store(store, replication))
    if source is None:
        return
    where = dead_letters(dead, source, store)
    sink = options.open_store(store, create=True, dead=where, pipeline=pipeline.name)
    generation = begin(sink, pipeline.definition(), source, start)
    click.echo(f"{pipeline.name}: generation {generation.id} is ready to be run")
