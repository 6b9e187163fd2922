"""Where records come from: a contract, and the sources that meet it."""

from __future__ import annotations

import os

from comporta.errors import UsageError
from comporta.payloads import Known
from comporta.sources.contract import Batch, Limits, Source
from comporta.sources.files import Files
from comporta.sources.stdin import Stdin, open_stdin

__all__ = ["Batch", "Limits", "Source", "open_source"]


def open_source(url: str, known: Known, start: str, until_end: bool, limits: Limits) -> Source:
    """The source that a URL names: `file:GLOB`, or `-` for standard input.

    `start` (`earliest`, `latest`, or a time where records have one) is where partitions begin if `known` has
    not started and says nothing else. Raises `UsageError` for another URL, `SourceError` where there is
    nothing to read.
    """
    if url == "-":
        return Stdin(open_stdin(os.environ.get("COMPORTA_STDIN")), until_end, limits)
    if not url.startswith("file:"):
        raise UsageError(
            f"{url!r} is not a source; give file:GLOB, such as file:logs/*.log, or - for standard input"
        )
    return Files(url, known, start, until_end, limits)
