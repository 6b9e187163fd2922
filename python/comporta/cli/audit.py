"""`comporta audit`: whether every record ended somewhere."""

from __future__ import annotations

from functools import partial

import click

from comporta import audit as ledger
from comporta.cli import options, output
from comporta.cli.options import PipelineFile
from comporta.recount import recount


@click.command()
@options.file_argument
@options.store_option()
@options.source_option("Also count again what this source still holds.")
@options.format_option("table", "json")
def audit(file: PipelineFile, store: str | None, source: str | None, format: str) -> int:
    """Show what became of all records, by partition and as a whole.

    The exit status is 1 where a ledger does not balance, which is
    consumed = counted + dropped + duplicates + dead + in flight.
    """
    pipeline = file.load()
    sink = options.open_store(options.store_of(pipeline, store))
    lines = ledger.audit(sink, pipeline.name, partial(recount, source) if source else None)
    if format == "json":
        output.write_json(lines)
    else:
        rows = [{**line, "partition": line["partition"] or "all"} for line in lines]
        output.write_table(list(rows[0]), [list(row.values()) for row in rows])
    if lines[-1]["balanced"] and all(line["balanced"] for line in lines):
        return 0
    click.echo(f"comporta: error: the ledger of {pipeline.name} does not balance", err=True)
    return 1
