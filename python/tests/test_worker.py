"""The worker's program, as the BEAM meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_beam import FakeBeam
from record_batches import HEADER, record_batch, refilled, rows

from comporta import payloads
from comporta.connection import Frame
from comporta.etf import Atom
from comporta.loading import load
from comporta.note import NOTHING

PIPELINE = b"""
import os

import comporta as c

pipeline = c.Pipeline("p", metrics=[c.count("n")])

@pipeline.transform
def parse(line):
    if line == b"fatal":
        os._exit(8)
    return {}
"""
DEADLY = b"""
import os
from comporta import kafka_decoding, kafka_records
from comporta.kafka_batches import record_batches

decode_natively, made = kafka_decoding.decode_natively, kafka_records.DefaultRecordBatch

def deadly(content):
    if b"deadly" in content:
        os._exit(7)
    return made(content)

def deadly_natively(batch, data):
    inside = [each for each in record_batches(data) if each.reaches_into(batch.first, batch.next)]
    if any(b"deadly" in data[each.begin : each.end] for each in inside):
        os._exit(7)
    return decode_natively(batch, data)

kafka_decoding.decode_natively = deadly_natively
kafka_records.DefaultRecordBatch = deadly
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[FakeBeam]:
    path = str(tmp_path / "p.py")
    hash = load(path, PIPELINE, None).definition().hash()
    with FakeBeam("worker", PIPELINE + DEADLY, file=path, name=None, hash=hash) as beam:
        assert beam.receive().kind == "ready"
        yield beam


def send(worker: FakeBeam, payload: bytes, first: int, next: int, format: str = "kafka", **more: Any) -> None:
    header = {
        "format": Atom(format),
        "partition": "topic/0",
        "shown": "topic/0",
        "base": first,
        "first": first,
        "next": next,
        "arrival_ms": 0,
        "probation": False,
        "replay": None,
        "note": None,
        "reason": None,
        "verdict": None,
    }
    worker.send("batch", 3, payload, **header | more)


def counts(result: Frame) -> tuple[int, int, int]:
    return result.header["consumed"], result.header["counted"], result.header["dead"]


def test_of_kafkas_record_batches_it_says_what_headers_show_then_what_was_decoded(worker: FakeBeam) -> None:
    data = record_batch(0, rows(b"a", b"b")) + record_batch(2, rows(b"c", b"d"))
    send(worker, data, 0, 4)
    outline, decoded, result = worker.until("result")
    assert (outline.kind, outline.header["count"], outline.header["middle"]) == ("outline", 4, 2)
    assert (decoded.kind, decoded.header["count"], decoded.header["middle"]) == ("decoded", 4, 2)
    assert 0 < decoded.header["before"] <= decoded.header["memory"]
    assert counts(result) == (4, 4, 0)


def test_lines_are_decoded_as_soon_as_they_are_looked_at(worker: FakeBeam) -> None:
    send(worker, b"a\nb\n", 0, 4, "lines")
    decoded, result = worker.until("result")
    assert (decoded.kind, decoded.header["count"], decoded.header["middle"]) == ("decoded", 2, 2)
    assert counts(result) == (2, 2, 0)


def test_it_survives_what_cannot_be_decoded(worker: FakeBeam) -> None:
    broken = refilled(record_batch(2, rows(b"c", b"d")), b"\xff" * 9)
    send(worker, record_batch(0, rows(b"a", b"b")) + broken + record_batch(4, rows(b"e")), 0, 5)
    _, decoded, result = worker.until("result")
    assert (decoded.header["count"], decoded.header["middle"]) == (3, 2)
    assert counts(result) == (5, 3, 2)
    letters = payloads.unpack(result.payload)["letters"]
    assert [(letter["offset"], letter["reason"]) for letter in letters] == [
        (2, "undecodable"),
        (3, "undecodable"),
    ]
    assert letters[0]["value"] == broken


def test_it_has_said_what_headers_show_when_decoding_kills_it(worker: FakeBeam) -> None:
    send(worker, record_batch(0, rows(b"deadly")) + record_batch(1, rows(b"b")), 0, 2)
    outline = worker.receive()
    assert (outline.kind, outline.header["count"], outline.header["middle"]) == ("outline", 2, 1)
    assert worker.ends() == 7


def test_under_the_verdict_that_decoding_kills_it_makes_the_letters_without(worker: FakeBeam) -> None:
    data = record_batch(0, rows(b"a")) + record_batch(1, rows(b"deadly", b"b"))
    send(worker, data, 1, 3, reason="undecodable", verdict="decoding it kills workers")
    outline, decoded, result = worker.until("result")
    assert (outline.header["count"], outline.header["middle"]) == (2, None)
    assert (decoded.header["count"], decoded.header["middle"]) == (0, 2)
    assert counts(result) == (2, 0, 2)
    letters = payloads.unpack(result.payload)["letters"]
    assert [letter["error"] for letter in letters] == ["decoding it kills workers"] * 2
    assert letters[0]["value"][HEADER:] == record_batch(1, rows(b"deadly", b"b"))[HEADER:]


def test_in_a_careful_attempt_it_has_noted_the_record_that_kills_it(worker: FakeBeam, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_bytes(NOTHING)
    send(worker, b"a\nfatal\nb\n", 0, 10, "lines", note=str(note).encode())
    decoded = worker.receive()
    assert (decoded.kind, decoded.header["notes"]) == ("decoded", True)
    assert worker.ends() == 8
    assert note.read_bytes()[:16] == (2).to_bytes(8, "big") + (8).to_bytes(8, "big")


def test_of_a_replay_log_it_notes_the_place_in_the_log(worker: FakeBeam, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_bytes(NOTHING)
    common = {"partition": "topic/0", "shown": "topic/0", "key": None, "headers": [], "timestamp": None}
    records = [
        {"offset": offset, "source_offset": 900 + offset, "value": value, **common}
        for offset, value in enumerate([b"a", b"b", b"fatal", b"c"])
    ]
    send(worker, payloads.pack(records), 0, 4, "records", note=str(note).encode())
    assert worker.ends() == 8
    assert note.read_bytes()[:16] == (2).to_bytes(8, "big") + (3).to_bytes(8, "big")


def test_a_careful_attempt_that_survives_leaves_no_record_noted(worker: FakeBeam, tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_bytes(NOTHING)
    send(worker, b"a\nb\n", 0, 4, "lines", note=str(note).encode())
    assert counts(worker.until("result")[-1]) == (2, 2, 0)
    assert note.read_bytes() == NOTHING
