"""`comporta drain`: runs stopped from elsewhere, and their places in the consumer group given up."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path

import click

from comporta import addresses, runs
from comporta.addresses import KafkaAddress
from comporta.cli import options
from comporta.cli.options import PipelineFile, option
from comporta.data import data_directory
from comporta.errors import UsageError
from comporta.instances import Instances, given_id, instances
from comporta.runs import Run

LOOK_EVERY = 0.1  # seconds
WORD_EVERY = 5.0
END_BOUND = 5.0  # seconds in which all processes of a run that has ended are gone


@click.command()
@options.file_argument
@option("leave", is_flag=True, help="Leave the consumer group, too: others take over the partitions at once.")
@options.source_option("With --leave: what is read.  [default: what the runs read that are stopped]")
@option(
    "instance",
    multiple=True,
    metavar="ID",
    help="With --leave: a member that died elsewhere, by its instance id. Nothing is stopped here, then.",
)
def drain(file: PipelineFile, leave: bool, source: str | None, instance: Sequence[str]) -> int:
    """Stop the runs of the pipeline in FILE.py that `comporta run` started with this data directory.

    What they have read is finished first. The data directory is COMPORTA_DATA, or .comporta. A member of a
    consumer group keeps its partitions for the session timeout, to go on with them when it is started again;
    one that will not be started again should leave.
    """
    if instance and not leave:
        raise UsageError("--instance names a member that is to leave: give --leave as well")
    pipeline = file.load().name
    found = [] if instance else runs.running(pipeline, str(Path(file.path).absolute()))
    sources = {each.about.source for each in found} | ({source} if source else set())
    groups = _groups(pipeline, sources) if leave else {}
    status = 0 if instance else _stop(pipeline, found)
    for group, address in groups.items():
        if instance:
            is_left = _leave_named(address, group, instance)
        else:
            given = {id for id in (given_id(), *(each.about.instance for each in found)) if id}
            is_left = _leave_here(address, group, given)
        status = status if is_left else 1
    return status


def _groups(pipeline: str, sources: Collection[str]) -> dict[str, KafkaAddress]:
    """The groups of which a run on these sources is a member, and where they are."""
    read = [addresses.kafka(source) for source in sources if addresses.scheme(source) == "kafka"]
    if not sources:
        raise UsageError(
            f"nothing is running of {pipeline!r} that uses {data_directory()}, and would say which group to"
            " leave: give --source"
        )
    if not read:
        raise UsageError(f"only who reads Kafka is a member of a group, and this reads {', '.join(sources)}")
    return {address.group or pipeline: address for address in read}


def _stop(pipeline: str, found: Sequence[Run]) -> int:
    """Have the runs drain, and wait for their end; the exit status."""
    if not found:
        _say(f"nothing is running of {pipeline!r} that uses {data_directory()}")
    for run in found:
        run.drain()
        _say(f"draining {run}: what has been read is finished")
    status = 0
    for run in found:
        word_at = time.monotonic() + WORD_EVERY
        while not run.has_ended():
            if time.monotonic() >= word_at:
                word_at += WORD_EVERY
                _say(f"{run} is still draining")
            time.sleep(LOOK_EVERY)
        how = {0: "has drained", None: "was killed"}.get(run.about.status, "has failed, as it says itself")
        status = status or int(run.about.status != 0)
        _say(f"{run} {how}")
    return status


def _leave_named(address: KafkaAddress, group: str, ids: Sequence[str]) -> bool:
    """Take these members out of the group; whether they were its own."""
    missing = _leave(address, group, ids)
    for id in missing:
        _say(f"the group {group!r} has no member {id}, or none any more")
    return not missing


def _leave_here(address: KafkaAddress, group: str, given: Collection[str]) -> bool:
    """Take out of the group whoever was a member with this data directory; whether that is everybody."""
    deadline = time.monotonic() + END_BOUND
    while True:
        with instances(group) as here:
            if not here.held or time.monotonic() > deadline:
                return _leave_idle(address, group, here, given)
        time.sleep(LOOK_EVERY)


def _leave_idle(address: KafkaAddress, group: str, here: Instances, given: Collection[str]) -> bool:
    for id in here.held:
        _say(f"{id} stays in the group {group!r}: its process runs, and is none that was stopped here")
    ids = sorted({*given, *here.idle})
    if ids and len(_leave(address, group, ids)) == len(ids):
        _say(f"nobody who uses {data_directory()} is a member of the group {group!r} any more")
    if not ids and not here.held:
        _say(f"nobody who uses {data_directory()} was ever a member of the group {group!r}: see --instance")
        return False
    return not here.held


def _leave(address: KafkaAddress, group: str, ids: Sequence[str]) -> list[str]:
    """Take members out of a group; those that it does not know, although it has members."""
    from comporta import consumer_groups  # only where it is needed: aiokafka is large

    left = consumer_groups.leave(address, group, ids)
    for id in left:
        _say(f"{id} has left the group {group!r}: others have its partitions from now on")
    if len(left) == len(ids):
        return []
    if consumer_groups.is_empty(address, group):
        if not left:
            _say(f"the group {group!r} has no members: there is nobody to leave it")
        return []
    return [id for id in ids if id not in left]


def _say(text: str) -> None:
    click.echo(text, err=True)
