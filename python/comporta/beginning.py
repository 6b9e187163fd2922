"""How a run finds the generation that it goes on with, or begins one."""

from __future__ import annotations

import logging
from dataclasses import replace

from comporta.definition import Definition
from comporta.generations import Generation, redefined
from comporta.sinks import Sink
from comporta.sources import resolve

logger = logging.getLogger(__name__)


def begin(sink: Sink, definition: Definition, source: str, start: str) -> Generation:
    """The pipeline's current generation, made if there is none, under the definition of this run.

    Of a Kafka source, where it begins to read is decided now if it is not yet: as `start` says, or a reset.
    """
    name = definition.name
    while (generation := sink.current(name)) is None:
        sink.install(Generation(name, definition), instead_of=None)
    change = redefined(generation, definition)
    if change.added:
        logger.info("counted from now on: %s", ", ".join(change.added))
    if change.removed:
        logger.info("not counted any more: %s", ", ".join(change.removed))
    if change.fields_added:
        logger.info("kept of rows from now on: %s", ", ".join(change.fields_added))
    if change.fields_removed:
        logger.info("not kept of rows any more: %s", ", ".join(change.fields_removed))
    if change.generation != generation:
        sink.redefine(change.generation)
    generation = change.generation
    if generation.origin is None and (origin := resolve(source, generation.start or start)) is not None:
        generation = replace(generation, origin=sink.originate(generation.id, origin))
    return generation
