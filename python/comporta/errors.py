"""Every error that Comporta raises on purpose, in one tree.

    ComportaError
    ├── DefinitionError      what FILE.py defines is not valid; str() begins with the file and the line
    ├── Hopeless             every record fails: that is a mistake in the transform, not bad data
    ├── UsageError           an option, a URL or an argument that cannot be meant
    ├── SourceError          what records come from cannot be read
    ├── StoreError           where results are kept cannot be read or written, and waiting would not help
    │   └── SupersededError  another generation of the pipeline is current now
    └── TransformError       a transform returned what it may not

The text of each is the one line that a user sees: what was wrong, where, and what would be right.
"""

from __future__ import annotations


class ComportaError(Exception):
    """The root of all errors that Comporta raises on purpose."""


class DefinitionError(ComportaError):
    """What a pipeline's file defines is not valid.

    `file` and `line` say where, as far as that is known, and begin the text.
    """

    def __init__(self, what: str, *, file: str | None = None, line: int | None = None) -> None:
        self.file = file
        self.line = line
        where = [str(part) for part in (file, line) if part is not None]
        super().__init__(": ".join([":".join(where), what]) if where else what)


class Hopeless(ComportaError):
    """Every record fails and none has ever succeeded."""


class UsageError(ComportaError):
    """An option, a URL or an argument that cannot be meant."""


class SourceError(ComportaError):
    """What records come from cannot be read."""


class StoreError(ComportaError):
    """Where results are kept cannot be read or written, and waiting would not help."""


class SupersededError(StoreError):
    """Another generation of the pipeline is the current one by now."""


class TransformError(ComportaError):
    """A transform returned what it may not."""
