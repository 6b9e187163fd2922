"""Dead letters as people deal with them: listed, shown, replayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from comporta.addresses import dead_letters
from comporta.definition import Pipeline
from comporta.errors import UsageError
from comporta.formats import decode
from comporta.letters import LetterId, LetterStore, from_text, identity, is_whole, open_letters, to_text
from comporta.payloads import UNKNOWN_LENGTH, Letter
from comporta.records import Batch, Decoded
from comporta.sinks import Sink, current_generation
from comporta.sources.replay import letter_batch

AT_ONCE = 500  # letters asked about in one go


class Letters(NamedTuple):
    """Where the dead letters of a pipeline's current generation are."""

    store: LetterStore
    sink: Sink
    generation: str


def open_dead(pipeline: Pipeline, sink: Sink, store: str, source: str | None, dead: str | None) -> Letters:
    """The dead letters of a pipeline whose results are in `sink`, which `store` names.

    `dead` says where they are, or `source` what is read, if that is Kafka. Raises `UsageError` where neither
    does, and `StoreError` for a pipeline that has never run.
    """
    generation = current_generation(sink, pipeline.name)
    if generation.origin and not (source or dead):
        raise UsageError(
            f"{pipeline.name!r} reads Kafka, and its dead letters are there: give --source, or --dead"
        )
    where = dead_letters(dead, source, store)
    return Letters(open_letters(store, generation.id, where, pipeline.name), sink, generation.id)


def listed(letters: LetterStore, sink: Sink, generation: str) -> Iterator[tuple[Letter, bool]]:
    """Every letter, and whether its replay has taken effect."""
    rest = letters.letters()
    while some := list(islice(rest, AT_ONCE)):
        replayed = sink.was_replayed(generation, [identity(letter) for letter in some])
        for letter in some:
            yield letter, identity(letter) in replayed


def decoded(letter: Letter) -> Decoded:
    """The record of a letter as a worker has it. Raises `UsageError` unless the letter holds all of it."""
    if not is_whole(letter):
        raise UsageError(f"{to_text(identity(letter))} does not hold its whole record, so it cannot be run")
    batch = letter_batch(letter, letter["offset"], letter["offset"])
    return decode(
        Batch(
            format=batch.format,
            partition=batch.partition,
            shown=batch.shown,
            base=batch.base,
            first=batch.first,
            next=batch.next,
            arrival_ms=letter["at"],
            replay=batch.replay,
        ),
        batch.payload,
    )


def find(letters: LetterStore, text: str) -> Letter:
    """The letter whose id is `text`. Raises `UsageError` if there is none."""
    letter = letters.find(from_text(text))
    if letter is None:
        raise UsageError(f"there is no dead letter {text!r}; `comporta dead list` shows those that there are")
    return letter


def replay(
    letters: LetterStore, sink: Sink, generation: str, texts: Sequence[str] | None = None
) -> list[LetterId]:
    """Append letters to the replay log: those whose ids are `texts`, or all that have not been replayed.

    Letters that do not hold their whole record are not among all. Returns the identities of those appended.
    Raises `UsageError` for an id that is none, or of a letter without its whole record; then none is.
    """
    if texts is None:
        everything = listed(letters, sink, generation)
        found = [letter for letter, done in everything if not done and is_whole(letter)]
    else:
        found = [find(letters, text) for text in texts]
    for letter in found:
        if not is_whole(letter):
            raise UsageError(f"{to_text(identity(letter))} cannot be replayed: {_what_is_missing(letter)}")
    chosen = [identity(letter) for letter in found]
    letters.replay(chosen)
    return chosen


def _what_is_missing(letter: Letter) -> str:
    if letter["length"] == UNKNOWN_LENGTH:
        return "its record was never decoded; `comporta reset` processes the topic again"
    return (
        f"its record has {letter['length']} bytes, of which the first {len(letter['value'] or b'')} were kept"
    )
