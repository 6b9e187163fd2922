"""A dead letter as a message of Kafka, in the topic of dead letters and in the replay log alike.

The key is `GENERATION/PARTITION:OFFSET:ATTEMPT`, the value the record's own. The first headers are these, all
of them and in this order, as text, null for what there is not. The record's own come after them, untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from comporta.letters.contract import identity, to_text
from comporta.payloads import Letter

HEADERS = (
    "comporta.pipeline",
    "comporta.generation",
    "comporta.partition",
    "comporta.topic",
    "comporta.offset",
    "comporta.next",
    "comporta.attempt",
    "comporta.reason",
    "comporta.error",
    "comporta.traceback",
    "comporta.length",
    "comporta.key",
    "comporta.timestamp",
    "comporta.at",
    "comporta.shown",
    "comporta.code",
)

LARGEST = 1_000_000  # bytes of a message; brokers take a batch of 1,048,588 if nothing is said
WORDS = 32 << 10  # bytes of an error or a traceback that are worth more than the end of a value
OVERHEAD = 160  # bytes, more than a batch's own header and a record's numbers take
HEADER_OVERHEAD = 10  # bytes, the most that two lengths take

Header = tuple[str, bytes | None]
Message = tuple[bytes, bytes | None, list[Header]]
"""Key, value and headers."""


def to_message(letter: Letter, pipeline: str, generation: str, limit: int = LARGEST) -> Message:
    """The letter as a message of at most `limit` bytes, shortened where it has more.

    What is cut, until the rest fits: what is beyond 32 KiB of error and traceback, the value's end, traceback
    and error, then the record's headers and key. `length` tells a shortened record from a whole one.
    """
    message = _message(letter, pipeline, generation)
    if size(message) <= limit:
        return message
    letter = letter.copy()
    _cut_words(letter, WORDS, size(message) - limit)
    excess = size(_message(letter, pipeline, generation)) - limit
    if excess > 0 and letter["value"]:
        kept = max(0, len(letter["value"]) - excess)
        excess -= len(letter["value"]) - kept
        letter["value"] = letter["value"][:kept]
    if excess > 0:
        _cut_words(letter, 0, excess)
        excess = size(_message(letter, pipeline, generation)) - limit
    if excess > 0:
        _cut_record(letter, excess)
    return _message(letter, pipeline, generation)


def from_message(
    key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
) -> tuple[str, str, Letter] | None:
    """Pipeline, generation and letter of a message; None where it is no letter, or a damaged one."""
    names = tuple(name for name, _ in headers[: len(HEADERS)])
    if names != HEADERS:
        return None
    own = headers[len(HEADERS) :]
    try:
        return _letter(key, value, dict(headers[: len(HEADERS)]), list(own))
    except ValueError:
        return None


def size(message: Message) -> int:
    """Bytes that a batch of this one message has at most."""
    key, value, headers = message
    lengths = (len(name.encode()) + len(content or b"") + HEADER_OVERHEAD for name, content in headers)
    return OVERHEAD + len(key) + len(value or b"") + sum(lengths)


def _message(letter: Letter, pipeline: str, generation: str) -> Message:
    topic, separator, _ = letter["partition"].rpartition("/")
    contents = (
        pipeline,
        generation,
        letter["partition"],
        topic if separator else None,
        letter["offset"],
        letter["next"],
        letter["attempt"],
        letter["reason"],
        letter["error"],
        letter["traceback"],
        letter["length"],
        letter["key"],
        letter["timestamp"],
        letter["at"],
        letter["shown"],
        letter["code"],
    )
    own = zip(HEADERS, map(_encoded, contents), strict=True)
    key = _encoded(f"{generation}/{to_text(identity(letter))}") or b""
    return key, letter["value"], [*own, *letter["headers"]]


def _letter(
    key: bytes | None, value: bytes | None, contents: dict[str, bytes | None], headers: list[Header]
) -> tuple[str, str, Letter] | None:
    def text(name: str) -> str:
        return (contents[f"comporta.{name}"] or b"").decode()

    def number(name: str) -> int:
        read = int(text(name))
        if not -(2**63) <= read < 2**63:
            raise ValueError(f"{name} is out of range")
        return read

    letter: Letter = {
        "partition": text("partition"),
        "shown": text("shown"),
        "offset": number("offset"),
        "next": number("next"),
        "attempt": number("attempt"),
        "reason": text("reason"),
        "error": text("error"),
        "traceback": None if contents["comporta.traceback"] is None else text("traceback"),
        "value": value,
        "length": number("length"),
        "key": contents["comporta.key"],
        "headers": headers,
        "timestamp": None if contents["comporta.timestamp"] is None else number("timestamp"),
        "at": number("at"),
        "code": text("code"),
    }
    generation = text("generation")
    if key != f"{generation}/{to_text(identity(letter))}".encode():
        return None
    return text("pipeline"), generation, letter


def _encoded(content: Any) -> bytes | None:
    if content is None or isinstance(content, bytes):
        return content
    return str(content).encode(errors="backslashreplace")


def _cut_words(letter: Letter, least: int, excess: int) -> None:
    """Cut up to `excess` bytes from the traceback and the error, down to `least` bytes of each."""
    traceback = letter["traceback"]
    if traceback is not None:
        letter["traceback"], excess = _cut(traceback, least, excess)
    letter["error"], _ = _cut(letter["error"], least, excess)


def _cut(text: str, least: int, excess: int) -> tuple[str, int]:
    """A text without its end, and what is still too much."""
    encoded = text.encode(errors="backslashreplace")
    kept = max(min(least, len(encoded)), len(encoded) - max(0, excess))
    shortened = encoded[:kept].decode(errors="ignore")
    return shortened, excess - (len(encoded) - len(shortened.encode()))


def _cut_record(letter: Letter, excess: int) -> None:
    """Cut what a record has beside its value, which is gone already, and count all of it into the length."""
    headers, key = list(letter["headers"]), letter["key"]
    letter["length"] += len(key or b"") + sum(len(name) + len(value or b"") for name, value in headers)
    letter["value"] = b""
    while headers and excess > 0:
        name, value = headers.pop()
        excess -= len(name.encode()) + len(value or b"") + HEADER_OVERHEAD
    letter["headers"] = headers
    if key and excess > 0:
        kept = max(0, len(key) - excess)
        excess -= len(key) - kept
        letter["key"] = key[:kept]
    letter["shown"], _ = _cut(letter["shown"], 0, excess)
