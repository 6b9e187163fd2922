"""What is worth a word beside the ledger: counted since a run began, and no part of the ledger's equation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Note(NamedTuple):
    """How a count is said: in a few words, and in a line of its own."""

    brief: str
    text: str


LOSSES = {
    "lost_offsets": Note(
        "{:,} offsets lost",
        "{:,} offsets are lost: Kafka had deleted them before they were processed; longer retention of the"
        " topic would have kept them",
    ),
    "lost_claims": Note(
        "{:,} losses of claims",
        "claims were seen to be lost ({:,} losses): events that were sent again may have counted again",
    ),
}

ROWS = {
    "late": Note("{:,} rows late", "{:,} rows came later than `late` allows, and are not counted"),
    "expired": Note("{:,} rows expired", "{:,} rows are older than `retention`, and are not counted"),
    "without_id": Note(
        "{:,} rows without id", "{:,} rows had no id, and are counted without being deduplicated"
    ),
}


def brief(notes: Mapping[str, Note], counts: Mapping[str, Any]) -> list[str]:
    """In a few words each what is not zero."""
    return [note.brief.format(count) for note, count in _present(notes, counts)]


def lines(notes: Mapping[str, Note], counts: Mapping[str, Any]) -> list[str]:
    """In a line each what is not zero."""
    return [note.text.format(count) for note, count in _present(notes, counts)]


def _present(notes: Mapping[str, Note], counts: Mapping[str, Any]) -> Iterator[tuple[Note, int]]:
    return ((note, counts[name]) for name, note in notes.items() if counts[name])
