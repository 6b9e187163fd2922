"""Kafka topics as a source: each partition `TOPIC/NUMBER`, read as a member of a consumer group."""

from __future__ import annotations

from comporta.sources.kafka.origin import resolve
from comporta.sources.kafka.source import KafkaSource

__all__ = ["KafkaSource", "resolve"]
