"""`comporta validate`: what a file defines, and what its transform makes of a sample."""

from __future__ import annotations

import glob
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from comporta.cli import options, output
from comporta.cli.options import PipelineFile, option
from comporta.columns import values
from comporta.computation import Computation
from comporta.connection import MAX_FRAME
from comporta.definition import Pipeline
from comporta.formats import decode
from comporta.metrics.contract import Metric
from comporta.payloads import Claim, Known
from comporta.records import Batch
from comporta.sources import Limits, open_source
from comporta.transform import RecordTransform

SHOWN = 5  # lines, and different errors
BATCH = 1 << 20  # bytes
WAYS = ("consumed", "counted", "dropped", "duplicates", "dead")

Piece = tuple[Batch, bytes | memoryview]
"""A batch of a sample, and its payload."""


@click.command()
@options.file_argument
@option(
    "sample", type=click.Path(exists=True, dir_okay=False), help="A file whose lines to try, plain or gzip."
)
def validate(file: PipelineFile, sample: str | None) -> int:
    """Check FILE.py, and show what it defines and what its transform makes of a sample.

    The exit status is 1 if something is wrong with the file, or if the whole sample became dead letters.
    """
    pipeline = file.load()
    describe(file, pipeline)
    return 0 if sample is None else try_out(pipeline, Path(sample))


def describe(file: PipelineFile, pipeline: Pipeline) -> None:
    """Say what the pipeline is."""
    transform = pipeline.runner()
    takes = "a record" if isinstance(transform, RecordTransform) else "a batch"
    click.echo(f"{file} is valid: the pipeline {pipeline.name}")
    click.echo(f"  transform  {transform.name}, {takes} at a time")
    for metric in pipeline.metrics:
        click.echo(f"  metric     {metric.name}: {meaning(metric)}")
    if pipeline.rows:
        click.echo(f"  rows       {', '.join(pipeline.rows)}: kept of each counted row")
    dedup = pipeline.dedup
    if dedup:
        where = f"field {dedup.field}" if dedup.field else f"header {dedup.header}"
        click.echo(f"  dedup      by the {where}, within {dedup.within:,} s")


def meaning(metric: Metric[object]) -> str:
    """A metric in words."""
    parts = [metric.kind]
    if metric.of:
        parts.append(f"of {metric.of}")
    if metric.by:
        parts.append(f"by {', '.join(metric.by)}")
    if metric.every:
        parts.append(f"every {metric.every:,} s")
    return " ".join(parts)


def try_out(pipeline: Pipeline, path: Path) -> int:
    """Say what becomes of the first lines, and of all. Returns the exit status."""
    computation = Computation(pipeline)
    claims: dict[bytes, Claim] = {}
    total = dict.fromkeys(WAYS, 0)
    errors: Counter[str] = Counter()
    for number, (batch, payload) in enumerate(pieces(path)):
        if number == 0:
            show_first(pipeline, batch, payload)
        outcome = computation.run(decode(batch, payload), lambda wanted: claim(claims, wanted))
        for way in WAYS:
            total[way] += getattr(outcome, way)
        errors.update(letter["error"] for letter in outcome.result["letters"])
    click.echo()
    for text in computation.warnings():
        click.echo(f"warning: {text}")
    output.write_table(WAYS, [list(total.values())])
    for error, count in errors.most_common(SHOWN):
        click.echo(f"{count:,} x {output.printable(error)}")
    return int(0 < total["consumed"] == total["dead"])


def pieces(path: Path) -> Iterator[Piece]:
    """A file's lines, as they are read for workers."""
    nothing = Known(generation="", started=False, start=None, partitions=[], origin=None, generations=None)
    source = open_source(
        f"file:{glob.escape(str(path))}", nothing, "earliest", True, Limits(BATCH, MAX_FRAME)
    )
    for partition in source.discover():
        source.seek(partition["partition"], 0)
    while read := source.read():
        batch = Batch(
            format=read.format,
            partition=read.partition,
            shown=read.shown,
            base=read.base,
            first=read.first,
            next=read.next,
            arrival_ms=int(time.time() * 1000),
        )
        yield batch, read.payload
        source.checkpoint(read.partition, read.next)
    source.discover()  # says what is wrong with a file that could not be read to its end


def show_first(pipeline: Pipeline, batch: Batch, payload: bytes | memoryview) -> None:
    """Say what the transform makes of the first lines, one by one."""
    computation = Computation(pipeline)
    everything = decode(batch, payload)
    names = pipeline.runner().run(everything, ()).names
    click.echo(f"  fields     {', '.join(names) or 'none'}")
    lines = list(zip(everything.values, everything.offsets, everything.ends, strict=True))
    for value, first, end in lines[:SHOWN]:
        line = decode(replace(batch, first=first, next=end), payload)
        letters = computation.run(line, lambda wanted: bytes([1] * len(wanted))).result["letters"]
        click.echo(f"\n{output.printable((value or b'').decode(errors='backslashreplace'))}")
        if letters:
            click.echo(f"  -> dead letter: {output.printable(letters[0]['error'])}")
            continue
        rows = pipeline.runner().run(line, names)
        for row in zip(*map(values, rows.columns.values()), strict=True):
            shown = {name: item for name, item in zip(rows.columns, row, strict=True) if item is not None}
            click.echo(f"  -> {json.dumps(shown, default=str, ensure_ascii=False)}")
        if not len(rows.records):
            click.echo("  -> dropped")


def claim(claimed: dict[bytes, Claim], wanted: list[Claim]) -> bytes:
    """What a claim store answers: whether each is the first to claim its id."""
    return bytes(claimed.setdefault(each[0], each) == each for each in wanted)
