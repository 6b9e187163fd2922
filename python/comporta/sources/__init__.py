"""Where records come from: a contract, and what it is for files, standard input and the replay log."""

from __future__ import annotations

from comporta.errors import UsageError
from comporta.payloads import Known
from comporta.sources.contract import Source, SourceBatch
from comporta.sources.files import Files
from comporta.sources.stdin import Stdin

__all__ = ["Source", "SourceBatch", "open_source"]


def open_source(url: str, known: Known, start: str, until_end: bool, size: int, longest: int) -> Source:
    """The source that a URL names: `file:GLOB`, or `-` for standard input.

    `size` is how many bytes a batch is aimed at, `longest` how many a record may have. Raises `UsageError`
    for another URL, `SourceError` where there is nothing to read.
    """
    if url == "-":
        return Stdin(size, longest)
    scheme, colon, rest = url.partition(":")
    if scheme == "file" and colon and rest:
        return Files(rest, known, start, until_end, size, longest)
    raise UsageError(
        f"--source {url}: this version reads file:GLOB, such as file:logs/*.log, and - for standard input"
    )
