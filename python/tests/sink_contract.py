"""What every sink must do: its test module subclasses `SinkContract` and provides `connect`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from steps import assigned, definition, generation, letter, metric, output, step

from comporta.errors import SupersededError
from comporta.generations import Generation
from comporta.groups import LONGEST_KEY
from comporta.kept import LONGEST_ROW
from comporta.payloads import Origin
from comporta.sinks import Checkpoint, Ledger, Sink

Connect = Callable[[], Sink]


class SinkContract:
    """`connect` opens one and the same store again at each call, as another owner would."""

    @pytest.fixture
    def sink(self, connect: Connect) -> Sink:
        return connect()

    @pytest.fixture
    def current(self, sink: Sink) -> Generation:
        new = generation()
        assert sink.install(new, instead_of=None)
        return new

    @pytest.fixture
    def opened(self, sink: Sink, current: Generation) -> Checkpoint:
        return sink.open(current.id, [assigned("file-1")])[0]

    # Generations

    def test_a_pipeline_has_no_generation_before_its_first_run(self, sink: Sink) -> None:
        assert sink.current("access-log") is None

    def test_the_first_generation_is_installed_once(self, connect: Connect) -> None:
        first, second = generation(start="latest"), generation()
        assert connect().install(first, instead_of=None)
        assert not connect().install(second, instead_of=None)
        assert connect().current("access-log") == first

    def test_a_generation_takes_the_place_of_the_current_one_only(
        self, sink: Sink, current: Generation
    ) -> None:
        second, third = generation(), generation()
        assert sink.install(second, instead_of=current.id)
        assert not sink.install(third, instead_of=current.id)
        assert sink.current("access-log") == second

    def test_pipelines_have_generations_of_their_own(self, sink: Sink, current: Generation) -> None:
        other = generation(name="other")
        assert sink.install(other, instead_of=None)
        assert sink.current("access-log") == current
        assert sink.current("other") == other

    def test_where_a_generation_began_is_decided_once(self, connect: Connect, current: Generation) -> None:
        first = {"topics": {"access": "00"}, "starts": {"access/0": 1 << 40, "access/1": 0}}
        assert connect().originate(current.id, Origin(first)) == first
        assert connect().originate(current.id, Origin({"topics": {}, "starts": {}})) == first
        assert connect().current("access-log") == replace(current, origin=Origin(first))

    def test_where_it_begins_may_come_with_a_generation(self, sink: Sink) -> None:
        new = replace(generation(), origin=Origin({"topics": {"access": "00"}, "starts": {"access/0": 3}}))
        assert sink.install(new, instead_of=None)
        assert sink.current("access-log") == new

    def test_a_generation_is_defined_anew(self, sink: Sink, current: Generation) -> None:
        renewed = Generation(
            current.pipeline,
            definition(metric("bytes")),
            retired=current.definition.metrics,
            id=current.id,
        )
        sink.redefine(renewed)
        assert sink.current("access-log") == renewed

    def test_a_generation_has_started_once_partitions_were_opened(
        self, sink: Sink, current: Generation
    ) -> None:
        assert not current.started
        sink.open(current.id, [])
        assert current_of(sink).started

    def test_a_generation_has_succeeded_once_a_record_did_not_end_as_a_letter(
        self, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        dead = step(opened, 10, ledger=Ledger(consumed=2, dead=2))
        sink.flush(current.id, [dead])
        assert not current_of(sink).succeeded
        sink.flush(current.id, [step(dead.after, 20, ledger=Ledger(consumed=1, dropped=1))])
        assert current_of(sink).succeeded

    def test_what_is_not_current_is_forgotten(
        self, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        rows = output({(3, 0): "{}", (1 << 40, 0): "{}"})
        old = step(opened, 10, {"requests": {(0, "[]"): 1}}, replayed=[("file-1", 3, 0)], output=[rows])
        sink.flush(current.id, [old])
        new = generation()
        sink.install(new, instead_of=current.id)
        (checkpoint,) = sink.open(new.id, [assigned("file-1")])
        sink.flush(new.id, [step(checkpoint, 10, {"requests": {(0, "[]"): 5}}, output=[rows])])
        sink.forget("access-log")
        assert sink.checkpoints(current.id) == []
        assert list(sink.rows(current.id, "requests", None, None)) == []
        assert sink.was_replayed(current.id, [("file-1", 3, 0)]) == set()
        assert list(sink.output_rows(current.id, ["file-1"])) == []
        assert list(sink.rows(new.id, "requests", None, None)) == [(0, "[]", 5)]
        assert [row.offset for row in sink.output_rows(new.id, ["file-1"])] == [3, 1 << 40]
        known = sink.generations("access-log")
        assert known is None or set(known) == {current.id, new.id}  # None: hosts may share it
        assert not sink.generations("another")

    # Opening

    def test_a_new_partition_is_opened_at_its_start(self, sink: Sink, current: Generation) -> None:
        (checkpoint,) = sink.open(current.id, [assigned("file-1", start=70, shown="/a", meta=b"inode")])
        assert (checkpoint.partition, checkpoint.shown, checkpoint.meta) == ("file-1", "/a", b"inode")
        assert (checkpoint.start, checkpoint.upto, checkpoint.ledger) == (70, 70, Ledger())
        assert sink.checkpoints(current.id) == [checkpoint]

    def test_a_known_partition_is_opened_at_its_checkpoint_and_shown_anew(
        self, connect: Connect, current: Generation, opened: Checkpoint
    ) -> None:
        connect().flush(current.id, [step(opened, 40)])
        (checkpoint,) = connect().open(
            current.id, [assigned("file-1", start=90, shown="/a.1", meta=b"moved")]
        )
        assert (checkpoint.start, checkpoint.upto, checkpoint.mark) == (0, 40, b"mark-40")
        assert (checkpoint.shown, checkpoint.meta) == ("/a.1", b"moved")
        assert checkpoint.ledger == Ledger(consumed=1, counted=1)

    def test_checkpoints_are_listed_in_the_order_in_which_they_came(
        self, sink: Sink, current: Generation
    ) -> None:
        sink.open(current.id, [assigned("file-b"), assigned("file-a")])
        sink.open(current.id, [assigned("file-a"), assigned("file-c")])
        assert [known.partition for known in sink.checkpoints(current.id)] == ["file-b", "file-a", "file-c"]

    # Flushing

    def test_a_flush_takes_effect_whole(
        self, connect: Connect, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        rows = {"requests": {(0, '["200"]'): 3, (60, '["200"]'): 4}, "bytes": {(0, "[]"): 1.5}}
        snapshot = step(opened, 40, rows, replayed=[("file-1", 3, 0)])
        assert sink.flush(current.id, [snapshot]) == [True]
        other = connect()
        assert other.checkpoints(current.id) == [snapshot.after]
        assert (
            other.read(current.id, "file-1", "requests", [(0, '["200"]'), (9, "[]"), (60, '["200"]')])
            == rows["requests"]
        )
        assert other.read(current.id, "file-1", "bytes", [(0, "[]")]) == {(0, "[]"): 1.5}
        assert other.was_replayed(current.id, [("file-1", 3, 0), ("file-1", 3, 1)]) == {("file-1", 3, 0)}

    def test_many_rows_of_all_kinds_of_states_are_written(
        self, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        states = [0, -(2**40), 2**63, 1.5, [7, 2], ["ff", 0, 3], b"sketch", "text"]
        rows = {(0, f"[{number}]"): states[number % len(states)] for number in range(160)}
        counts = {(60, f'["é{number}"]'): number - 100 for number in range(2**7 + 3)}
        sink.flush(current.id, [step(opened, 10, {"requests": rows, "bytes": counts})])
        assert sink.read(current.id, "file-1", "requests", list(rows)) == rows
        assert sink.read(current.id, "file-1", "bytes", list(counts)) == counts

    def test_rows_are_replaced_by_later_flushes(
        self, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        first = step(opened, 10, {"requests": {(0, "[]"): 1, (0, "[1]"): 1}})
        sink.flush(current.id, [first])
        sink.flush(current.id, [step(first.after, 20, {"requests": {(0, "[]"): 7}})])
        assert sink.read(current.id, "file-1", "requests", [(0, "[]"), (0, "[1]")]) == {
            (0, "[]"): 7,
            (0, "[1]"): 1,
        }

    def test_a_flush_from_a_checkpoint_that_is_not_the_last_has_no_effect(
        self, connect: Connect, current: Generation, opened: Checkpoint
    ) -> None:
        winner = step(opened, 20, {"requests": {(0, "[]"): 1}})
        assert connect().flush(current.id, [winner]) == [True]
        zombie = step(
            opened,
            30,
            {"requests": {(0, "[]"): 9, (5, "[]"): 9}},
            letters=[letter(3)],
            replayed=[("file-1", 3, 0)],
            output=[output({(3, 0): "{}"})],
        )
        assert connect().flush(current.id, [zombie]) == [False]
        assert connect().checkpoints(current.id) == [winner.after]
        assert list(connect().rows(current.id, "requests", None, None)) == [(0, "[]", 1)]
        assert connect().was_replayed(current.id, [("file-1", 3, 0)]) == set()
        assert list(connect().output_rows(current.id, ["file-1"])) == []

    def test_two_flushes_that_end_at_one_offset_are_told_apart(
        self, connect: Connect, current: Generation, opened: Checkpoint
    ) -> None:
        first, second = (
            step(opened, 20, {"requests": {(0, "[]"): 1}}),
            step(opened, 20, {"requests": {(0, "[]"): 2}}),
        )
        assert connect().flush(current.id, [first]) == [True]
        assert connect().flush(current.id, [second]) == [False]
        assert connect().flush(current.id, [step(second.after, 30)]) == [False]
        assert connect().flush(current.id, [step(first.after, 30)]) == [True]

    def test_a_flush_that_took_effect_may_be_asked_for_again(
        self, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        rows = output({(3, 0): "{}"})
        snapshot = step(opened, 20, {"requests": {(0, "[]"): 1}}, letters=[letter(3)], output=[rows])
        assert sink.flush(current.id, [snapshot]) == [True]
        assert sink.flush(current.id, [snapshot]) == [True]
        assert sink.checkpoints(current.id) == [snapshot.after]
        assert list(sink.output_rows(current.id, ["file-1"])) == [("file-1", 3, 0, "{}")]

    def test_a_partition_that_lost_takes_no_other_with_it(self, sink: Sink, current: Generation) -> None:
        one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
        moved = step(one, 5)
        sink.flush(current.id, [moved])
        outcomes = sink.flush(current.id, [step(one, 9), step(two, 9, {"requests": {(0, "[]"): 2}})])
        assert outcomes == [False, True]
        assert [known.upto for known in sink.checkpoints(current.id)] == [5, 9]

    def test_partitions_have_rows_of_their_own(self, sink: Sink, current: Generation) -> None:
        one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
        sink.flush(
            current.id,
            [step(one, 5, {"requests": {(0, "[]"): 1}}), step(two, 5, {"requests": {(0, "[]"): 2}})],
        )
        assert sink.read(current.id, "file-1", "requests", [(0, "[]")]) == {(0, "[]"): 1}
        assert sink.read(current.id, "file-2", "requests", [(0, "[]")]) == {(0, "[]"): 2}

    def test_nothing_takes_effect_in_a_generation_that_was_superseded(
        self, connect: Connect, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        connect().install(generation(), instead_of=current.id)
        with pytest.raises(SupersededError, match="reset"):
            sink.flush(current.id, [step(opened, 20)])
        with pytest.raises(SupersededError, match="reset"):
            sink.open(current.id, [assigned("file-1")])
        assert sink.checkpoints(current.id) == [opened]

    def test_owners_that_race_are_decided_between(self, connect: Connect, current: Generation) -> None:
        (start,) = connect().open(current.id, [assigned("file-1")])
        outcomes: list[tuple[str, bool]] = []
        sinks = [connect() for _ in range(4)]

        def race(sink: Sink) -> None:
            snapshot = step(start, 10)
            outcomes.append((snapshot.after.flush, *sink.flush(current.id, [snapshot])))

        threads = [threading.Thread(target=race, args=[sink]) for sink in sinks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [flush for flush, won in outcomes if won]
        assert winners == [known.flush for known in connect().checkpoints(current.id)]
        assert len(outcomes) == 4

    # Rows

    @pytest.mark.parametrize(
        "state",
        [
            *(0, -1, 2**63 - 1, -(2**63), 2**64 - 1),
            *(0.1, -0.0, 3.0, 1e308, float("inf")),
            *("123456789012345678901234567890", "", b"", b"\x00\xff", [1, 2.5, "a", b"b", None], {"a": [1]}),
        ],
    )
    def test_a_state_comes_back_as_it_went_in(
        self, sink: Sink, current: Generation, opened: Checkpoint, state: Any
    ) -> None:
        sink.flush(current.id, [step(opened, 10, {"requests": {(0, "[]"): state}})])
        found = sink.read(current.id, "file-1", "requests", [(0, "[]")])[0, "[]"]
        assert (found, type(found)) == (state, type(state))

    def test_keys_may_be_any_text(self, sink: Sink, current: Generation, opened: Checkpoint) -> None:
        rows = {
            (0, key): number
            for number, key in enumerate(["", "\x00", '["é\U0001f40d"]', "x" * LONGEST_KEY, "a", "A"])
        }
        sink.flush(current.id, [step(opened, 10, {"requests": rows})])
        assert sink.read(current.id, "file-1", "requests", list(rows)) == rows

    def test_rows_of_old_buckets_expire(self, sink: Sink, current: Generation) -> None:
        one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
        rows = {"requests": {(0, "[]"): 1, (60, "[]"): 2}, "bytes": {(0, "[]"): 3}}
        sink.flush(current.id, [step(one, 5, rows), step(two, 5, rows)])
        sink.expire(current.id, "requests", 60)
        assert list(sink.rows(current.id, "requests", None, None)) == [(60, "[]", 2)] * 2
        assert list(sink.rows(current.id, "bytes", None, None)) == [(0, "[]", 3)] * 2

    def test_rows_are_listed_by_bucket_within_bounds(self, sink: Sink, current: Generation) -> None:
        one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
        sink.flush(
            current.id,
            [
                step(one, 5, {"requests": {(120, "[]"): 1, (-60, "[]"): 2}, "bytes": {(0, "[]"): 9}}),
                step(two, 5, {"requests": {(0, "[]"): 3, (60, "[]"): 4}}),
            ],
        )
        everything = [(-60, "[]", 2), (0, "[]", 3), (60, "[]", 4), (120, "[]", 1)]
        assert list(sink.rows(current.id, "requests", None, None)) == everything
        assert list(sink.rows(current.id, "requests", 0, 120)) == everything[1:3]
        assert list(sink.rows(current.id, "requests", 60, None)) == everything[2:]
        assert list(sink.rows(current.id, "requests", None, 0)) == everything[:1]

    # Output rows

    def test_output_rows_are_listed_by_partition_offset_and_index(
        self, connect: Connect, sink: Sink, current: Generation
    ) -> None:
        one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
        places = [
            (offset, index) for offset in (0, 5, 9_999, 10_000, 123_456, 1 << 40) for index in (0, 1, 7)
        ]
        rows = {place: f'{{"n":{number}}}' for number, place in enumerate(places)}
        some, others = dict(list(rows.items())[::2]), dict(list(rows.items())[1::2])
        first = step(one, 5, output=[output(dict(reversed(others.items()))), output({})])
        second = step(two, 5, output=[output(rows, partition="file-2")])
        assert sink.flush(current.id, [first, second]) == [True, True]
        assert sink.flush(current.id, [step(first.after, 9, output=[output(some)])]) == [True]
        listed = [(offset, index, row) for (offset, index), row in rows.items()]
        for chosen in (["file-2", "file-1"], ["file-1"], []):
            found = connect().output_rows(current.id, chosen)
            assert list(found) == [(partition, *row) for partition in chosen for row in listed]

    def test_output_rows_of_a_replayed_letter_lie_where_its_record_is(
        self, sink: Sink, current: Generation
    ) -> None:
        source, replay = sink.open(current.id, [assigned("file-1"), assigned("replay")])
        moved = step(source, 50_000, output=[output({(3, 0): "[3]", (40_000, 0): "[5]"})])
        sink.flush(current.id, [moved])
        sink.flush(current.id, [step(replay, 1, output=[output({(30_000, 0): "[4]"})])])
        found = list(sink.output_rows(current.id, ["file-1", "replay"]))
        assert [(row.partition, row.row) for row in found] == [("file-1", f"[{n}]") for n in (3, 4, 5)]

    def test_output_rows_of_a_partition_that_was_never_opened_stop_nothing(
        self, sink: Sink, current: Generation, opened: Checkpoint
    ) -> None:
        stray = output({(3, 0): "{}"}, partition="made-up")
        rows = output({(4, 0): "{}"})
        assert sink.flush(current.id, [step(opened, 5, output=[stray, rows])]) == [True]
        assert [row.offset for row in sink.output_rows(current.id, ["file-1"])] == [4]

    def test_output_rows_may_be_any_text(self, sink: Sink, current: Generation, opened: Checkpoint) -> None:
        texts = ["", '{"é🐍":"\\u0000"}', "x" * LONGEST_ROW, "é" * (LONGEST_ROW // 2)]
        rows = {(0, index): text for index, text in enumerate(texts)}
        assert sink.flush(current.id, [step(opened, 5, output=[output(rows)])]) == [True]
        assert [row.row for row in sink.output_rows(current.id, ["file-1"])] == texts

    def test_old_output_rows_expire(self, sink: Sink, current: Generation) -> None:
        one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
        old, new = output({(3, 0): "{}", (5, 0): "{}"}, times=[9, 10]), output({(4, 0): "{}"})
        others = output({(3, 0): "{}"}, partition="file-2", times=[0])
        sink.flush(current.id, [step(one, 5, output=[old, new]), step(two, 5, output=[others])])
        sink.expire_output_rows(current.id, 10)
        found = sink.output_rows(current.id, ["file-1", "file-2"])
        assert [(row.partition, row.offset) for row in found] == [("file-1", 4), ("file-1", 5)]


def current_of(sink: Sink) -> Generation:
    current = sink.current("access-log")
    assert current is not None
    return current
