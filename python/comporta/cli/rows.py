"""`comporta rows`: what was kept of counted rows."""

from __future__ import annotations

from itertools import chain, islice

import click

from comporta.cli import options, output
from comporta.cli.options import PipelineFile, option
from comporta.output_rows import KeptRow, kept_rows

PLACE = ("partition", "offset", "index")


@click.command()
@options.file_argument
@options.store_option()
@option("partition", metavar="PARTITION", help="Only rows of this one: TOPIC/NUMBER, or a file's path.")
@option("limit", type=click.IntRange(min=1), metavar="N", help="At most so many rows.  [default: all]")
@options.format_option("table", "json", "csv")
def rows(
    file: PipelineFile, store: str | None, partition: str | None, limit: int | None, format: str
) -> None:
    """Show the rows that the pipeline in FILE.py has kept, in the order of the log, as far as flushed.

    A table and CSV have the fields that FILE.py names in rows=; JSON has each row as it was kept.
    """
    pipeline = file.load()
    sink = options.open_store(options.store_of(pipeline, store))
    found = islice(kept_rows(pipeline.definition(), sink, partition), limit)
    columns = (*PLACE, *pipeline.rows)
    if format == "json":
        output.write_json(whole(row) for row in found)
    elif format == "csv":
        output.write_csv(columns, (cells(row, row.partition, pipeline.rows) for row in found))
    elif first := next(found, None):
        lines = (cells(row, row.shown, pipeline.rows) for row in chain([first], found))
        output.write_table(columns, ([output.short(cell) for cell in line] for line in lines))
    else:
        click.echo("no rows were kept", err=True)


def whole(row: KeptRow) -> dict[str, object]:
    """A row as JSON has it."""
    return {"partition": row.partition, "offset": row.offset, "index": row.row_index, "row": row.row}


def cells(row: KeptRow, partition: str, fields: tuple[str, ...]) -> list[output.Value]:
    """A row as a table has it."""
    values = [output.label(row.row.get(field)) for field in fields]
    return [partition, str(row.offset), str(row.row_index), *values]
