"""Dead letters: kept for reading, and appended to the replay log to be counted after all.

A contract, and the stores that meet it.
"""

from comporta import addresses
from comporta.letters.contract import (
    LetterId,
    LetterStore,
    LetterWriter,
    from_text,
    identity,
    is_whole,
    to_text,
)
from comporta.letters.sqlite import SQLiteLetters

__all__ = [
    "LetterId",
    "LetterStore",
    "LetterWriter",
    "from_text",
    "identity",
    "is_whole",
    "letter_writer",
    "open_letters",
    "to_text",
]


def open_letters(url: str, generation: str, dead: str | None = None, pipeline: str = "") -> LetterStore:
    """The dead letters of one generation of `pipeline`: in the topic `dead`, if that is one, else in the
    store that `url` names, `sqlite:PATH`.
    """
    if dead and addresses.scheme(dead) == "kafka":
        from comporta.letters.kafka import KafkaLetters  # only where it is needed: the client is large

        return KafkaLetters(addresses.kafka(dead), pipeline, generation)
    return SQLiteLetters(url, generation)


def letter_writer(dead: str | None, pipeline: str) -> LetterWriter | None:
    """What writes the letters of `pipeline` to the topic `dead`; None if that is none."""
    if dead is None or addresses.scheme(dead) != "kafka":
        return None
    from comporta.letters.kafka import KafkaLetterWriter

    return KafkaLetterWriter(addresses.kafka(dead), pipeline)
