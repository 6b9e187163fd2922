"""`comporta query`: what was counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from comporta import query as results
from comporta.cli import options, output
from comporta.cli.options import TIME, PipelineFile, option
from comporta.query import Answer


@click.command()
@options.file_argument
@click.argument("metric")
@options.store_option()
@option("since", type=TIME, metavar="TIME", help="Only buckets that start then or later.")
@option("until", type=TIME, metavar="TIME", help="Only buckets that start before then.")
@option("by", metavar="FIELD,...", help="Group by these fields only.  [default: those of the metric]")
@options.format_option("table", "json", "csv")
def query(
    file: PipelineFile,
    metric: str,
    store: str | None,
    since: datetime | None,
    until: datetime | None,
    by: str | None,
    format: str,
) -> None:
    """Show what METRIC of the pipeline in FILE.py comes to, as far as it has been flushed.

    Times are ISO 8601, UTC where they name no zone, or seconds since 1970.
    """
    pipeline = file.load()
    sink = options.open_store(options.store_of(pipeline, store))
    fields = None if by is None else [field for field in by.split(",") if field]
    answers = results.query(pipeline.definition(), sink, metric, since=since, until=until, by=fields)
    if format == "json":
        output.write_json(answers)
        return
    rows = [row for answer in answers for row in flat(answer)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    values = [[row.get(name) for name in columns] for row in rows]
    if format == "csv":
        output.write_csv(columns, values)
    elif rows:
        output.write_table(columns, values)
        note = next(known.note for known in pipeline.metrics if known.name == metric)
        if note:
            click.echo(f"({note})")
    else:
        click.echo("nothing was counted", err=True)


def flat(answer: Answer) -> Iterator[dict[str, output.Value]]:
    """The rows of a table that an answer makes: a row an item for `top`, a column a rank for `quantiles`.

    A field that is called as another column is `group.FIELD`.
    """
    bucket = {} if answer["start"] is None else {"start": answer["start"], "end": answer["end"]}
    for value in _parts(answer["value"]):
        group = {
            f"group.{name}" if name in bucket or name in value else name: output.label(field)
            for name, field in answer["group"].items()
        }
        yield {**bucket, **group, **value}


def _parts(value: object) -> Iterable[dict[str, output.Value]]:
    match value:
        case dict():
            return [value]
        case list():
            return value
    return [{"value": value}]  # type: ignore[dict-item]
