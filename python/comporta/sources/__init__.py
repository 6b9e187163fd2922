"""Where records come from: a contract, and the sources that meet it."""

from __future__ import annotations

import os

from comporta.addresses import scheme
from comporta.errors import UsageError
from comporta.payloads import Known, Origin
from comporta.sources.contract import Batch, Limits, Source
from comporta.sources.files import Files
from comporta.sources.stdin import Stdin, open_stdin

__all__ = ["Batch", "Limits", "Source", "open_source", "resolve"]


def open_source(
    url: str, known: Known, start: str, until_end: bool, limits: Limits, *, pipeline: str = "", dead: str = ""
) -> Source:
    """The source that a URL names: `file:GLOB`, `-` for standard input, or `kafka://...`.

    `start` (`earliest`, `latest`, or a time where records have one) is where partitions begin if `known` has
    not started and says nothing else. `pipeline` names the consumer group if the URL does not, and `dead` is
    where dead letters are, beside which the replay log is. Raises `UsageError` for another URL, `SourceError`
    where there is nothing to read.
    """
    if url == "-":
        return Stdin(open_stdin(os.environ.get("COMPORTA_STDIN")), until_end, limits)
    if scheme(url) == "kafka":
        from comporta.sources.kafka import KafkaSource  # only where it is needed: aiokafka is large

        return KafkaSource(url, known, until_end, limits, pipeline, dead)
    if not url.startswith("file:"):
        raise UsageError(
            f"{url!r} is not a source; give file:GLOB, such as file:logs/*.log, - for standard input, or"
            " kafka://HOST:PORT/TOPIC"
        )
    return Files(url, known, start, until_end, limits)


def resolve(url: str, start: str) -> Origin | None:
    """Where the source of that URL begins now, by `start`; None for files, of which each run finds out.

    Raises `SourceError` in words; waits for brokers that are away.
    """
    if scheme(url) == "kafka":
        from comporta.sources import kafka

        return kafka.resolve(url, start)
    return None
