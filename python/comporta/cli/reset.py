"""`comporta reset`: count everything again."""

from __future__ import annotations

import click

from comporta import reset as generations
from comporta.addresses import scheme
from comporta.cli import options
from comporta.cli.display import human_size
from comporta.cli.options import START, PipelineFile, option
from comporta.sources import resolve


@click.command()
@options.file_argument
@options.store_option()
@options.source_option("What is read: of Kafka, where to begin is then decided now, else by the next run.")
@option(
    "claims",
    type=options.CLAIMS,
    metavar="URL",
    help="Where event ids are claimed, to estimate what memory that takes.  [default: as for run]",
)
@option(
    "to",
    type=START,
    metavar="earliest|latest|TIME",
    default="earliest",
    help="Where the next run begins to read.",
)
def reset(file: PipelineFile, store: str | None, source: str | None, claims: str | None, to: str) -> None:
    """Begin a new generation of the pipeline in FILE.py: the next run counts everything again.

    What was counted until now is deleted. Claims of event ids in Redis are not: they expire by themselves,
    and those of the new generation come beside them.
    """
    pipeline = file.load()
    url = options.store_of(pipeline, store)
    sink = options.open_store(url)
    current = sink.current(pipeline.name)
    options.check_start(to, "kafka:" if current and current.origin else source)
    origin = resolve(source, to) if source else None
    definition = pipeline.definition()
    is_in_redis = definition.dedup is not None and scheme(claims or url) != "sqlite"
    ids = generations.claimed_again(sink, pipeline.name, to, origin, source) if is_in_redis else 0
    click.echo(generations.reset(definition, sink, to, origin, source))
    if definition.dedup and ids:
        click.echo(estimate(ids, definition.dedup["within"]), err=True)


def estimate(ids: int, within: int) -> str:
    """What memory so many ids take that are claimed anew, under a window of so many seconds."""
    from comporta.dedup.redis import BYTES_PER_ID  # only where it is needed: its libraries are large

    memory, longest = human_size(ids * BYTES_PER_ID), duration(1.5 * within)
    return (
        f"claims: with an id a record, {ids:,} are claimed again, which takes {memory} of Redis's memory, or"
        f" less if reading takes longer than {longest}; what the old generation has claimed stays beside it"
        f" until it expires, within {longest}"
    )


def duration(seconds: float) -> str:
    """A time in the largest unit of which there is at least one."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g}{unit}"
    return f"{seconds:.3g}s"
