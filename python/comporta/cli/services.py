"""`comporta services`: Kafka, Cassandra and Redis on this machine, for development."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from comporta.cli import options, output, signals
from comporta.cli.options import option
from comporta.services import SERVICES, Services, Status


def _only(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in SERVICES]:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(SERVICES)}")
    return names


def folder_option() -> Callable[[Any], Any]:
    """Where the services' data is."""
    return option(
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where data and logs are.  [default: ~/.local/share/comporta/services]",
    )


def port_option(service: str, usual: int) -> Callable[[Any], Any]:
    """The first port of a service."""
    return option(
        f"{service}-port",
        type=click.IntRange(1, 65_533),
        metavar="PORT",
        help=f"Where {service.capitalize()} listens.  [default: {usual}]",
    )


@click.group()
def services() -> None:
    """Real Kafka, Cassandra and Redis on this machine, for development."""


@services.command()
@option("nodes", type=click.Choice(["1", "3"]), help="How many nodes of each.  [default: 1]")
@folder_option()
@port_option("kafka", 9092)
@port_option("cassandra", 9042)
@port_option("redis", 6379)
@option("only", type=_only, metavar="NAME,...", help="Start only these of kafka, cassandra and redis.")
def up(
    nodes: str | None,
    folder: Path | None,
    kafka_port: int | None,
    cassandra_port: int | None,
    redis_port: int | None,
    only: tuple[str, ...] | None,
) -> None:
    """Start them, and wait until they answer. What runs already is left alone.

    Data stays until `down --delete`. Three nodes of Kafka and Redis have three ports one after another, those
    of Cassandra the addresses 127.0.0.1 to 127.0.0.3.
    """
    signals.end_as_interrupted()
    whole = Services(
        folder,
        nodes=int(nodes) if nodes else None,
        kafka_port=kafka_port,
        cassandra_port=cassandra_port,
        redis_port=redis_port,
        only=only or (),
        say=click.echo,
    )
    if not whole.up():
        click.echo("all of it is up already")


@services.command()
@folder_option()
@option("delete", is_flag=True, help="Delete their data, too.")
def down(folder: Path | None, delete: bool) -> None:
    """End them; `up` finds their data again."""
    ended = Services(folder, say=click.echo).down(delete=delete)
    names = ", ".join(node.name for node in ended)
    click.echo(f"ended {names}" if names else "nothing was running")


@services.command()
@folder_option()
@options.format_option("table", "json")
def status(folder: Path | None, format: str) -> None:
    """Show every node: ready, running (but it does not answer) or stopped."""
    whole = Services(folder)
    found = whole.status()
    if format == "json":
        output.write_json(row._asdict() for row in found)
    elif found:
        # As text: a number would get separators of thousands.
        rows = [row._replace(pid=None if row.pid is None else str(row.pid)) for row in found]  # type: ignore[arg-type]
        output.write_table(Status._fields, rows)
    else:
        click.echo(f"there are no services in {whole.folder}", err=True)
