from __future__ import annotations

import math
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_beam import FakeBeam
from steps import assigned, columns, definition, generation, letter, metric, output

from comporta import payloads
from comporta.connection import Closed, Frame
from comporta.definition import Definition
from comporta.metrics.contract import MetricDefinition
from comporta.notes import ROWS
from comporta.payloads import Letter
from comporta.query import query
from comporta.reset import reset
from comporta.sinks import Ledger, open_sink

LEDGER = Ledger(consumed=2, counted=2)
Run = Callable[..., FakeBeam]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/folder/store.db"


def store(url: str, definition: Definition) -> FakeBeam:
    return FakeBeam(
        "store",
        definition.to_json().encode(),
        store=url,
        source="file:*.log",
        start="earliest",
        dead=None,
    )


@pytest.fixture
def run(url: str) -> Iterator[Run]:
    """Starts the program; all are ended after the test."""
    started: list[FakeBeam] = []

    def run(*metrics: MetricDefinition, rows: Sequence[str] = ()) -> FakeBeam:
        started.append(store(url, definition(*metrics, rows=rows)))
        return started[-1]

    yield run
    for beam in started:
        beam.__exit__(None, None, None)


def ready(beam: FakeBeam) -> Frame:
    (frame,) = beam.until("ready")
    return frame


def open_partitions(beam: FakeBeam, assignment: int = 1, *names: str) -> list[Frame]:
    partitions = [assigned(name) for name in names or ("file-1",)]
    beam.send("open", 5, payloads.pack(partitions), assignment=assignment)
    return beam.until("opened_all")


def fold(
    beam: FakeBeam,
    first: int,
    next: int,
    *,
    partition: str = "file-1",
    assignment: int = 1,
    rows: dict[str, dict[tuple[int, str], Any]] | None = None,
    letters: list[Letter] | None = None,
    replay: tuple[str, int, int] | None = None,
    ledger: Ledger = LEDGER,
    output: bytes | None = None,
    **notes: int,
) -> str:
    result = {
        "metrics": {name: columns(cells, cells.values()) for name, cells in (rows or {}).items()},
        "letters": letters or [],
        "output": output,
        "late": 0,
        "expired": 0,
        "without_id": 0,
        **notes,
    }
    beam.send(
        "fold",
        9,
        payloads.pack(result),
        partition=partition,
        assignment=assignment,
        first=first,
        next=next,
        mark=b"mark-%d" % next,
        replay=replay and list(replay),
        **vars(ledger),
    )
    return beam.receive().kind


def flush(beam: FakeBeam) -> list[Frame]:
    beam.send("flush", 7)
    return beam.until("flushed", "superseded")


def answers(url: str, metric: str = "requests", *metrics: MetricDefinition) -> dict[str | None, int]:
    """What is counted by now, by bucket."""
    found = query(definition(*metrics), open_sink(url, create=False), metric, by=[])
    return {answer["start"]: answer["value"] for answer in found}


REQUESTS = {"requests": {(0, '["200"]'): 3, (60, '["200"]'): 4}}
COUNTED = {"1970-01-01T00:00:00Z": 3, "1970-01-01T00:01:00Z": 4}


class TestARun:
    def test_what_was_folded_and_flushed_is_counted(self, run: Run, url: str) -> None:
        beam = run()
        started = ready(beam)
        assert started.header["succeeded"] is False
        opened, everything = open_partitions(beam)
        assert opened.header | {"kind": "opened", "id": 5} == opened.header
        assert opened.header["partition"] == b"file-1"
        assert opened.header["shown"] == b"/var/log/a"
        assert (opened.header["upto"], opened.header["consumed"]) == (0, 0)
        assert everything.header["assignment"] == 1
        assert fold(beam, 0, 40, rows=REQUESTS) == "folded"
        checkpoint, flushed = flush(beam)
        assert flushed.header["id"] == 7
        assert (checkpoint.header["partition"], checkpoint.header["upto"]) == (b"file-1", 40)
        assert (checkpoint.header["consumed"], checkpoint.header["counted"]) == (2, 2)
        assert answers(url) == COUNTED

    def test_a_flush_of_nothing_is_just_answered(self, run: Run) -> None:
        beam = run()
        ready(beam)
        open_partitions(beam)
        assert [frame.kind for frame in flush(beam)] == ["flushed"]

    def test_the_next_run_goes_on_from_the_checkpoint(self, run: Run, url: str) -> None:
        first = run()
        generation = ready(first).header["generation"]
        open_partitions(first)
        fold(first, 0, 40, rows=REQUESTS)
        flush(first)
        fold(first, 40, 50, rows=REQUESTS)  # never flushed
        first.kill()
        second = run()
        started = ready(second)
        assert (started.header["generation"], started.header["succeeded"]) == (generation, True)
        second.send("known", 3)
        known = payloads.unpack(second.receive().payload)
        assert (known["generation"], known["started"], known["start"]) == (generation.decode(), True, None)
        (partition,) = known["partitions"]
        assert (partition["upto"], partition["mark"], partition["meta"]) == (40, b"mark-40", b"m")
        opened, _ = open_partitions(second)
        assert (opened.header["upto"], opened.header["counted"]) == (40, 2)
        fold(second, 40, 50, rows=REQUESTS)
        flush(second)
        assert answers(url) == {start: 2 * count for start, count in COUNTED.items()}

    def test_a_source_that_starts_again_learns_that_the_generation_has_started(self, run: Run) -> None:
        beam = run()
        ready(beam)
        for expected in (False, True):
            beam.send("known", 3)
            assert payloads.unpack(beam.receive().payload)["started"] is expected
            open_partitions(beam)

    def test_it_ends_with_its_connection(self, run: Run) -> None:
        beam = run()
        ready(beam)
        beam.disconnect()
        assert beam.process.wait(10) == 0

    def test_rows_of_old_buckets_are_read_back(self, run: Run, url: str) -> None:
        first = run()
        ready(first)
        open_partitions(first)
        fold(first, 0, 40, rows=REQUESTS)
        flush(first)
        first.kill()
        second = run()
        ready(second)
        open_partitions(second)
        fold(second, 40, 50, rows={"requests": {(0, '["200"]'): 10}})
        flush(second)
        assert answers(url)["1970-01-01T00:00:00Z"] == 13


class TestStaleResults:
    @pytest.fixture
    def beam(self, run: Run) -> FakeBeam:
        beam = run()
        ready(beam)
        open_partitions(beam)
        return beam

    @pytest.mark.parametrize(
        "other", [{"assignment": 0}, {"assignment": 2}, {"partition": "file-2"}, {"first": 10}]
    )
    def test_a_result_of_anything_but_the_position_is_refused(
        self, beam: FakeBeam, url: str, other: dict[str, Any]
    ) -> None:
        assert fold(beam, **{"first": 0, "next": 40, "rows": REQUESTS, **other}) == "stale"
        flush(beam)
        assert answers(url) == {}

    def test_a_result_that_comes_twice_is_refused(self, beam: FakeBeam, url: str) -> None:
        assert fold(beam, 0, 40, rows=REQUESTS) == "folded"
        assert fold(beam, 0, 40, rows=REQUESTS) == "stale"
        flush(beam)
        assert answers(url) == COUNTED

    def test_opening_again_drops_what_was_not_flushed(self, beam: FakeBeam, url: str) -> None:
        fold(beam, 0, 40, rows=REQUESTS)
        open_partitions(beam, 2)
        assert fold(beam, 40, 50, rows=REQUESTS) == "stale"
        assert fold(beam, 0, 40, assignment=2, rows=REQUESTS) == "folded"
        flush(beam)
        assert answers(url) == COUNTED

    def test_a_partition_that_another_owner_moved_is_lost_until_it_is_opened_again(
        self, beam: FakeBeam, url: str
    ) -> None:
        fold(beam, 0, 40, rows=REQUESTS)
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            connection.execute("UPDATE partitions SET upto = 20, flush = 'another'")
            connection.commit()
        frames = flush(beam)
        assert [frame.kind for frame in frames] == ["lost", "flushed"]
        assert frames[0].header["partition"] == b"file-1"
        assert fold(beam, 40, 50, rows=REQUESTS) == "stale"
        opened, _ = open_partitions(beam, 2)
        assert opened.header["upto"] == 20
        assert answers(url) == {}


class TestReplay:
    LETTER = ("file-1", 30, 0)

    def test_a_letter_is_counted_once_however_often_it_is_replayed(self, run: Run, url: str) -> None:
        rows = {"requests": {(0, "[1]"): 1}}
        one = Ledger(consumed=1, counted=1)
        for _ in range(2):
            beam = run()
            ready(beam)
            opened = open_partitions(beam, 1, "replay")[0].header["upto"]
            for offset in range(opened, opened + 4, 2):
                assert (
                    fold(
                        beam,
                        offset,
                        offset + 1,
                        partition="replay",
                        replay=self.LETTER,
                        rows=rows,
                        ledger=one,
                    )
                    == "folded"
                )
                assert (
                    fold(
                        beam,
                        offset + 1,
                        offset + 2,
                        partition="replay",
                        replay=self.LETTER,
                        rows=rows,
                        ledger=one,
                    )
                    == "folded"
                )
                checkpoint, _ = flush(beam)
                assert (checkpoint.header["upto"], checkpoint.header["consumed"]) == (offset + 2, 1)
            beam.kill()
        assert answers(url) == {"1970-01-01T00:00:00Z": 1}


class TestOwnership:
    def test_a_second_run_waits_and_says_for_whom(self, run: Run) -> None:
        first = run()
        ready(first)
        second = run()
        waiting = second.receive()
        assert waiting.kind == "waiting"
        reason = waiting.header["reason"].decode()
        assert f"process {first.process.pid} on " in reason
        assert "'access-log'" in reason
        first.kill()
        assert second.until("ready")[-1].kind == "ready"

    def test_pipelines_share_a_file(self, run: Run, url: str) -> None:
        ready(run())
        with store(url, definition(name="other")) as other:
            ready(other)


class TestDefinitions:
    BYTES = metric("bytes", "count", by=["path"])
    HITS = metric("requests", by=["status"], every=60)

    def counted(self, run: Run, *metrics: MetricDefinition, rows: Sequence[str] = ()) -> FakeBeam:
        beam = run(*metrics, rows=rows)
        ready(beam)
        opened, _ = open_partitions(beam)
        rows = {defined["name"]: {(0, '["a"]'): 1} for defined in metrics}
        fold(beam, opened.header["upto"], opened.header["upto"] + 10, rows=rows)
        flush(beam)
        beam.kill()
        return beam

    def test_a_metric_that_is_added_starts_now(self, run: Run, url: str) -> None:
        self.counted(run, self.HITS)
        beam = self.counted(run, self.HITS, self.BYTES)
        assert "counted from now on: bytes" in beam.logged
        assert answers(url, "requests", self.HITS) == {"1970-01-01T00:00:00Z": 2}
        assert answers(url, "bytes", self.BYTES) == {None: 1}

    def test_a_metric_that_is_removed_stops(self, run: Run, url: str) -> None:
        self.counted(run, self.HITS, self.BYTES)
        beam = self.counted(run, self.HITS)
        assert "not counted any more: bytes" in beam.logged
        assert answers(url, "bytes", self.BYTES) == {None: 1}

    def test_fields_of_rows_come_and_go(self, run: Run, url: str) -> None:
        self.counted(run, self.HITS)
        beam = self.counted(run, self.HITS, rows=["path", "status"])
        assert beam.logged == ["kept of rows from now on: path, status"]
        beam = self.counted(run, self.HITS, rows=["status"])
        assert beam.logged == ["not kept of rows any more: path"]
        current = open_sink(url, create=False).current("access-log")
        assert current
        assert current.definition.rows == ["status"]

    @pytest.mark.parametrize("removed_first", [False, True])
    def test_a_metric_that_is_altered_is_refused(self, run: Run, removed_first: bool) -> None:
        self.counted(run, self.HITS, self.BYTES)
        if removed_first:
            self.counted(run, self.BYTES)
        beam = run(metric("requests", by=["status"], every=3600), self.BYTES)
        refused = beam.receive()
        assert refused.kind == "refused"
        reason = refused.header["reason"].decode()
        assert "'requests'" in reason
        assert "every was 60 and is 3600" in reason
        assert "comporta reset access.py" in reason
        assert beam.ends() == 1


class TestRetention:
    def test_rows_go_when_they_were_kept_long_enough(self, url: str) -> None:
        day = 86_400
        today = int(time.time()) // day * day
        kept = replace(
            definition(metric("requests", by=["x"], every=day), metric("total")), retention=30 * day
        )
        with store(url, kept) as beam:
            ready(beam)
            open_partitions(beam)
            buckets = {(today - age * day, "[1]"): 1 for age in (0, 29, 30, 33, 400)}
            ages = [0, 29, 31, 400]
            rows = output({(age, 0): "{}" for age in ages}, times=[today - age * day for age in ages])
            fold(beam, 0, 10, rows={"requests": buckets, "total": {(0, "[]"): 5}}, output=rows)
            flush(beam)
            flush(beam)  # it has expired rows after the first one
        sink = open_sink(url, create=False)
        assert len(list(query(kept, sink, "requests"))) == 3
        found = sink.output_rows(current_id(url), ["file-1"])
        assert [row.offset for row in found] == [0, 29]
        assert answers(url, "total", metric("total")) == {None: 5}


class TestReset:
    def test_a_run_of_the_old_generation_stops_in_words(self, run: Run, url: str) -> None:
        beam = run()
        old = ready(beam).header["generation"].decode()
        open_partitions(beam)
        fold(beam, 0, 40, rows=REQUESTS)
        assert open_sink(url, create=False).install(generation(start="latest"), instead_of=old)
        (superseded,) = flush(beam)
        assert superseded.kind == "superseded"
        assert b"reset" in superseded.header["reason"]
        beam.send("open", 5, payloads.pack([assigned("file-2")]), assignment=2)
        assert beam.receive().kind == "superseded"
        beam.kill()
        following = run()
        ready(following)
        following.send("known", 3)
        known = payloads.unpack(following.receive().payload)
        assert (known["started"], known["start"], known["partitions"]) == (False, "latest", [])


class TestTrouble:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"this is no database, whatever its name may say" * 100, "not a database"),
            (None, "another program's"),
        ],
    )
    def test_a_file_that_is_no_store_is_refused_in_a_line(
        self, run: Run, tmp_path: Path, content: bytes | None, words: str
    ) -> None:
        path = tmp_path / "folder" / "store.db"
        path.parent.mkdir()
        if content:
            path.write_bytes(content)
        else:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("CREATE TABLE recipes (name TEXT)")
        beam = run()
        refused = beam.receive()
        assert refused.kind == "refused"
        reason = refused.header["reason"].decode()
        assert words in reason
        assert str(path) in reason
        assert "\n" not in reason
        assert beam.ends() == 1

    def test_a_store_of_another_version_is_refused_in_a_line(self, run: Run, url: str) -> None:
        ready(first := run())
        first.kill()
        with closing(sqlite3.connect(url.removeprefix("sqlite:"))) as connection:
            connection.execute("PRAGMA user_version = 99")
        assert b"version 99" in run().receive().header["reason"]

    def test_a_lock_is_waited_for_while_folding_goes_on(self, run: Run, url: str) -> None:
        beam = run()
        ready(beam)
        open_partitions(beam)
        fold(beam, 0, 40, rows=REQUESTS)
        with closing(sqlite3.connect(url.removeprefix("sqlite:"), isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            beam.send("flush", 7)
            assert fold(beam, 40, 50, rows=REQUESTS) == "folded"
            assert fold(beam, 50, 60, rows=REQUESTS) == "folded"
            connection.execute("ROLLBACK")
        checkpoint, _ = beam.until("flushed")
        assert checkpoint.header["upto"] == 40
        checkpoint, _ = flush(beam)
        assert checkpoint.header["upto"] == 60
        assert answers(url) == {start: 3 * count for start, count in COUNTED.items()}

    def test_too_much_to_flush_is_flushed_unasked(self, run: Run) -> None:
        beam = run()
        ready(beam)
        open_partitions(beam)
        letters = [letter(offset, value=b"x" * 1_000_000, length=1_000_000) for offset in range(40)]
        assert fold(beam, 0, 40, letters=letters) == "folded"
        assert fold(beam, 40, 80, letters=[{**letter, "attempt": 1} for letter in letters]) == "folded"
        frame = beam.receive()
        assert (frame.kind, frame.header["upto"]) == ("checkpoint", 80)

    def test_rows_that_are_not_counted_as_others_are_are_said(self, run: Run) -> None:
        beam = run()
        ready(beam)
        open_partitions(beam)
        open_partitions(beam, 2, "file-2")
        fold(beam, 0, 40, late=3, without_id=2)
        fold(beam, 0, 40, partition="file-2", assignment=2, late=1)
        noted = {
            frame.header["partition"]: {name: frame.header[name] for name in ROWS}
            for frame in flush(beam)
            if frame.kind == "checkpoint"
        }
        assert noted == {
            b"file-1": {"late": 3, "expired": 0, "without_id": 2},
            b"file-2": {"late": 1, "expired": 0, "without_id": 0},
        }
        assert [line.split(" ")[:2] for line in beam.logged] == [["4", "rows"], ["2", "rows"]]
        fold(beam, 40, 50)
        [checkpoint, _] = flush(beam)
        assert not any(checkpoint.header[name] for name in ROWS)


def test_killed_at_any_instant_it_comes_to_exact_totals(run: Run, url: str) -> None:
    """Rows are folded one by one and flushed now and then, while somebody kills the store again and again."""
    rnd = random.Random(1)
    for kills_left in range(12, -1, -1):
        beam = run()
        killer = threading.Timer(rnd.uniform(0.0, 0.3), beam.kill)
        if kills_left:
            killer.start()
        with suppress(Closed):
            ready(beam)
            position = open_partitions(beam)[0].header["upto"]
            end = position + (math.inf if kills_left else 100)
            while position < end:
                cells = {"requests": {(60 * rnd.randrange(50), "[1]"): 1}}
                fold(beam, position, position + 1, rows=cells, ledger=Ledger(consumed=1, counted=1))
                position += 1
                if rnd.random() < 0.02:
                    flush(beam)
            flush(beam)
    assert position > 100  # the runs that were killed got somewhere too
    assert sum(answers(url).values()) == position
    (checkpoint,) = open_sink(url, create=False).checkpoints(current_id(url))
    assert checkpoint.ledger == Ledger(consumed=position, counted=position)


def current_id(url: str) -> str:
    current = open_sink(url, create=False).current("access-log")
    assert current is not None
    return current.id


class TestGroups:
    """What a member of a group of runs needs, whose partitions come and go."""

    def test_a_partition_that_is_given_up_is_folded_no_further(self, run: Run, url: str) -> None:
        with run() as beam:
            ready(beam)
            open_partitions(beam, 1, "file-1", "file-2")
            rows = {"requests": {(0, "[200]"): 1}}
            fold(beam, 0, 10, rows=rows)
            beam.send("close", 6, partition="file-1")
            assert fold(beam, 10, 20, rows=rows) == "stale"
            assert fold(beam, 0, 10, partition="file-2", rows=rows) == "folded"
            flush(beam)
        assert answers(url) == {"1970-01-01T00:00:00Z": 1}

    def test_how_far_partitions_are_durable_is_told_whoever_reads_them(self, run: Run) -> None:
        with run() as beam:
            ready(beam)
            open_partitions(beam, 1, "file-1", "file-2")
            fold(beam, 0, 10)
            flush(beam)
            beam.send("close", 6, partition="file-1")
            beam.send("elsewhere", 8)
            told = [beam.receive().header for _ in range(2)]
            assert {each["partition"]: each["upto"] for each in told} == {b"file-1": 10, b"file-2": 0}

    def test_a_reset_is_noticed_without_anything_to_flush(self, run: Run, url: str) -> None:
        with run() as beam:
            ready(beam)
            reset(definition(), open_sink(url, create=False), "earliest")
            assert flush(beam)[-1].kind == "superseded"
