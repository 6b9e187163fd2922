"""Dead letters as people deal with them: listed, shown, replayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from comporta.errors import UsageError
from comporta.letters import LetterId, LetterStore, from_text, identity, is_whole, to_text
from comporta.payloads import UNKNOWN_LENGTH, Letter
from comporta.sinks import Sink

AT_ONCE = 500  # letters asked about in one go


def listed(letters: LetterStore, sink: Sink, generation: str) -> Iterator[tuple[Letter, bool]]:
    """Every letter, and whether its replay has taken effect."""
    rest = letters.letters()
    while some := list(islice(rest, AT_ONCE)):
        replayed = sink.was_replayed(generation, [identity(letter) for letter in some])
        for letter in some:
            yield letter, identity(letter) in replayed


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
