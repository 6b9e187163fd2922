from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_batches import record_batch, refilled, rows
from steps import cells_of

import comporta as c
from comporta.computation import Computation, Outcome
from comporta.errors import Hopeless
from comporta.payloads import Claim, pack, unpack
from comporta.records import Batch

MINUTE = 60_000
NOON = 1_431_864_000_000


class ClaimStore:
    """Remembers who claimed what, and what it was asked."""

    def __init__(self) -> None:
        self.owners: dict[bytes, tuple[str, int]] = {}
        self.calls: list[list[Claim]] = []

    def __call__(self, claims: list[Claim]) -> bytes:
        self.calls.append(claims)
        return bytes(
            self.owners.setdefault(id, (partition, offset)) == (partition, offset)
            for id, partition, offset in claims
        )


def no_claims(claims: list[Claim]) -> bytes:
    raise AssertionError("nothing is to be claimed")


def pipeline(*metrics: Any, transform: Any = json.loads, **options: Any) -> c.Pipeline:
    made = c.Pipeline("p", metrics=metrics or [c.count("n")], **options)
    made.transform(transform)
    return made


def of_records(*values: Any, first: int = 0, arrival: int = NOON, **changes: Any) -> tuple[Batch, bytes]:
    """A batch of Kafka records, whose values are JSON."""
    header = {key: changes.pop(key) for key in ("replay", "probation", "reason", "verdict") if key in changes}
    records = [
        {
            "offset": first + index,
            "value": value if isinstance(value, bytes) or value is None else json.dumps(value).encode(),
            "key": None,
            "timestamp": None,
            "headers": [],
            "partition": "topic/0",
            "shown": "topic/0",
            "source_offset": first + index,
            **changes,
        }
        for index, value in enumerate(values)
    ]
    batch = Batch(
        "records", "topic/0", "topic/0", first, first, first + len(values), arrival_ms=arrival, **header
    )
    return batch, pack(records)


def run(
    made: c.Pipeline | Computation,
    batch: tuple[Batch, bytes],
    claim: Callable[[list[Claim]], bytes] = no_claims,
) -> Outcome:
    computation = Computation(made) if isinstance(made, c.Pipeline) else made
    outcome = computation.run(computation.decode(*batch), claim)
    ended = outcome.counted + outcome.dropped + outcome.duplicates + outcome.dead
    assert ended == outcome.consumed
    assert outcome.dead == len(outcome.result["letters"])
    assert unpack(pack(outcome.result)).keys() == outcome.result.keys()
    return outcome


def ends(outcome: Outcome) -> tuple[int, int, int, int]:
    return outcome.counted, outcome.dropped, outcome.duplicates, outcome.dead


def values(made: c.Pipeline, outcome: Outcome, name: str) -> dict[tuple[int, str], Any]:
    columns = outcome.result["metrics"][name]
    cells = cells_of(columns)
    assert len(cells) == len(set(cells)) == len(columns["deltas"])
    metric = next(metric for metric in made.metrics if metric.name == name)
    return {
        cell: metric.value(metric.unpack(delta)) for cell, delta in zip(cells, columns["deltas"], strict=True)
    }


def errors(outcome: Outcome) -> list[str]:
    return [letter["error"] for letter in outcome.result["letters"]]


def output(outcome: Outcome) -> dict[tuple[str, int, int], Any]:
    """What is kept of rows, by partition, offset and index."""
    if outcome.result["output"] is None:
        return {}
    kept = unpack(outcome.result["output"])
    rows = zip(kept["offsets"], kept["indexes"], kept["rows"], strict=True)
    found = {(kept["partition"], offset, index): json.loads(row) for offset, index, row in rows}
    assert len(found) == len(kept["rows"])
    return found


def test_rows_are_grouped_by_bucket_and_key() -> None:
    made = pipeline(
        c.count("n", by=["status", "method"], every="1m"),
        c.sum("bytes", of="bytes", by="status"),
        c.count("all"),
    )
    rows = [
        {"time": NOON, "status": 200, "method": "GET", "bytes": 5},
        {"time": NOON + MINUTE - 1, "status": 200.0, "method": "GET", "bytes": 7},
        {"time": NOON + MINUTE, "status": "200", "method": "GET", "bytes": None},
        {"time": NOON - 1, "status": True, "bytes": 1},
    ]
    outcome = run(made, of_records(*rows))
    assert ends(outcome) == (4, 0, 0, 0)
    noon = NOON // 1000
    assert values(made, outcome, "n") == {
        (noon, '[200,"GET"]'): 2,
        (noon + 60, '["200","GET"]'): 1,
        (noon - 60, "[true,null]"): 1,
    }
    assert values(made, outcome, "bytes") == {(0, "[200]"): 12, (0, "[true]"): 1}
    assert values(made, outcome, "all") == {(0, "[]"): 4}


def test_buckets_before_1970_are_aligned_too() -> None:
    made = pipeline(c.count("n", every="1h"))
    assert values(made, run(made, of_records({"time": -1})), "n") == {(-3600, "[]"): 1}


def test_a_record_ends_as_one_of_four() -> None:
    def transform(value: bytes) -> Any:
        return {b"row": {"id": "a"}, b"rows": [{"id": "b"}, {"id": "c"}], b"none": None, b"empty": []}[value]

    made = pipeline(c.count("n"), transform=transform, dedup=c.by_id("id"))
    batch = of_records(b"row", b"rows", b"none", b"empty", b"unknown", b"row")
    outcome = run(made, batch, ClaimStore())
    assert ends(outcome) == (2, 2, 1, 1)
    assert values(made, outcome, "n") == {(0, "[]"): 3}


@pytest.mark.parametrize(
    ("metric", "bad"),
    [
        (c.count("n", by="x"), {"x": [1]}),
        (c.count("n", by="x"), {"x": math.inf}),
        (c.count("n", by="x"), {"x": b"\xff"}),
        (c.count("n", by=["x", "y"]), {"x": "x" * 20_000, "y": "y" * 20_000}),
        (c.sum("n", of="x"), {"x": "1"}),
        (c.sum("n", of="x"), {"x": True}),
        (c.sum("n", of="x"), {"x": math.nan}),
        (c.mean("n", of="x"), {"x": math.inf}),
        (c.quantiles("n", of="x"), {"x": 2**1024}),
        (c.distinct("n", of="x"), {"x": "\udc80"}),
        (c.top("n", of="x"), {"x": {}}),
        (c.top("n", of="x"), {"x": "x" * 4095}),
        (c.count("n"), {"time": "noon"}),
        (c.count("n", every="1m"), {"time": None}),
        (c.count("n", every="1m"), {}),
    ],
)
def test_one_bad_value_makes_a_letter_and_none_of_the_rows_counts(metric: Any, bad: dict[str, Any]) -> None:
    good = {"x": 1, "y": 1, "time": NOON}
    made = pipeline(
        metric, c.count("rows"), transform=lambda value: [good, bad, good] if value == b"bad" else good
    )
    outcome = run(made, of_records(b"good", b"bad", b"good"))
    assert ends(outcome) == (2, 0, 0, 1)
    assert values(made, outcome, "rows") == {(0, "[]"): 2}
    [letter] = outcome.result["letters"]
    assert (letter["offset"], letter["reason"], letter["value"], letter["traceback"]) == (
        1,
        "value",
        b"bad",
        None,
    )
    assert letter["error"]


def test_a_letter_names_the_field() -> None:
    outcome = run(pipeline(c.sum("n", of="size")), of_records({"size": "12"}))
    assert errors(outcome) == ["size: '12' is a str, not a number; convert it with int() or float()"]


def test_null_is_skipped_by_the_metric_that_it_is_of() -> None:
    made = pipeline(c.sum("sum", of="x"), c.distinct("distinct", of="x"), c.count("n"))
    outcome = run(made, of_records({"x": None}, {}, {"x": 3}))
    assert ends(outcome) == (3, 0, 0, 0)
    assert values(made, outcome, "sum") == {(0, "[]"): 3}
    assert values(made, outcome, "distinct") == {(0, "[]"): 1}
    assert values(made, outcome, "n") == {(0, "[]"): 3}
    none = run(made, of_records({}))
    assert none.counted == 1
    assert values(made, none, "sum") == {}


def test_a_text_null_is_not_null() -> None:
    made = pipeline(c.distinct("d", of="x"), c.top("t", of="x"))
    outcome = run(made, of_records({"x": "null"}))
    assert values(made, outcome, "d") == {(0, "[]"): 1}
    assert values(made, outcome, "t") == {
        (0, "[]"): [{"item": "null", "estimate": 1, "lower": 1, "upper": 1}]
    }


def test_without_time_it_is_the_record_s_timestamp() -> None:
    made = pipeline(c.count("n", every="1m"))
    outcome = run(made, of_records({}, {"time": NOON}, timestamp=NOON + MINUTE))
    assert values(made, outcome, "n") == {(NOON // 1000 + 60, "[]"): 1, (NOON // 1000, "[]"): 1}


def test_without_any_time_it_says_which_metric_needs_one() -> None:
    made = pipeline(c.count("all"), c.count("n", every="1m"))
    [error] = errors(run(made, of_records({})))
    assert "`time`" in error
    assert "'n'" in error
    assert "lines of a file" in error


def test_an_empty_batch_comes_to_nothing() -> None:
    made = pipeline(
        c.count("n", every="1m"), c.sum("s", of="x", by="y"), dedup=c.by_id("id"), late="1m", retention="1d"
    )
    outcome = run(made, of_records())
    assert ends(outcome) == (0, 0, 0, 0)
    assert outcome.result["metrics"]["s"] == {"buckets": [], "keys": [], "deltas": []}


# Duplicates


def test_a_second_record_with_an_id_is_a_duplicate_and_the_first_again_is_not() -> None:
    made, claims = pipeline(dedup=c.by_id("id")), ClaimStore()
    assert ends(run(made, of_records({"id": "a"}, {"id": "b"}, {"id": "a"}), claims)) == (2, 0, 1, 0)
    assert ends(run(made, of_records({"id": "a"}, {"id": "b"}, {"id": "a"}), claims)) == (2, 0, 1, 0)
    assert ends(run(made, of_records({"id": "b"}, first=9), claims)) == (0, 0, 1, 0)


def test_ids_are_claimed_in_one_call_in_order_each_once_a_position() -> None:
    claims = ClaimStore()
    made = pipeline(dedup=c.by_id("id"), transform=lambda value: [{"id": text} for text in value.decode()])
    outcome = run(made, of_records(b"aba", b"b"), claims)
    assert claims.calls == [[(b'"a"', "topic/0", 0), (b'"b"', "topic/0", 0), (b'"b"', "topic/0", 1)]]
    assert ends(outcome) == (1, 0, 1, 0)
    assert values(made, outcome, "n") == {(0, "[]"): 3}


def test_a_record_of_which_one_row_is_new_counts_with_that_row() -> None:
    made, claims = (
        pipeline(dedup=c.by_id("id"), transform=lambda v: [{"id": text} for text in v.decode()]),
        ClaimStore(),
    )
    outcome = run(made, of_records(b"ab", b"bc", b"ac"), claims)
    assert ends(outcome) == (2, 0, 1, 0)
    assert values(made, outcome, "n") == {(0, "[]"): 3}


def test_rows_without_an_id_are_counted_and_told() -> None:
    made = pipeline(dedup=c.by_id("id"))
    outcome = run(made, of_records({}, {"id": None}, {"id": math.nan}))
    assert ends(outcome) == (3, 0, 0, 0)
    assert outcome.result["without_id"] == 3


def test_long_ids_are_claimed_as_hashes() -> None:
    claims = ClaimStore()
    run(
        pipeline(dedup=c.by_id("id")),
        of_records({"id": "x" * 13}, {"id": "x" * 14}, {"id": 5}, {"id": 5.0}),
        claims,
    )
    digest = hashlib.blake2b(b'"' + b"x" * 14 + b'"', digest_size=16).digest()
    assert [id for id, _, _ in claims.calls[0]] == [b'"' + b"x" * 13 + b'"', digest, b"5", b"5"]


def test_an_id_can_be_in_a_header() -> None:
    claims = ClaimStore()
    made = pipeline(dedup=c.by_id(header="id"))
    first = of_records({}, headers=[("id", b"old"), ("id", b"\xff\x00"), ("other", b"x")])
    assert ends(run(made, first, claims)) == (1, 0, 0, 0)
    assert claims.calls == [[(b"\xff\x00", "topic/0", 0)]]
    assert ends(run(made, of_records({}, first=1, headers=[("id", b"\xff\x00")]), claims)) == (0, 0, 1, 0)
    assert run(made, of_records({}, headers=[("id", None)]), claims).result["without_id"] == 1
    assert run(made, of_records({}), claims).result["without_id"] == 1


def test_a_letter_claims_nothing() -> None:
    claims = ClaimStore()
    made = pipeline(c.sum("s", of="x"), dedup=c.by_id("id"))
    run(made, of_records({"id": "a", "x": "bad"}, {"id": "b", "x": 1}), claims)
    assert claims.calls == [[(b'"b"', "topic/0", 1)]]


def test_a_replayed_record_claims_its_source_position() -> None:
    claims = ClaimStore()
    batch = of_records({"id": "a"}, partition="file-1", source_offset=77, replay=("file-1", 77, 0))
    run(pipeline(dedup=c.by_id("id")), batch, claims)
    assert claims.calls == [[(b'"a"', "file-1", 77)]]


# Late and expired rows


def test_late_rows_are_dropped_and_counted() -> None:
    made = pipeline(late="1m", transform=lambda value: [{"time": int(t)} for t in value.split()])
    rows = [b"%d" % (NOON - MINUTE), b"%d" % (NOON - MINUTE - 1), b"%d %d" % (NOON - MINUTE - 1, NOON)]
    outcome = run(made, of_records(*rows))
    assert ends(outcome) == (2, 1, 0, 0)
    assert outcome.result["late"] == 2
    assert values(made, outcome, "n") == {(0, "[]"): 2}


def test_late_is_measured_from_the_record_s_timestamp() -> None:
    made = pipeline(late="1m")
    assert ends(
        run(made, of_records({"time": NOON - MINUTE}, timestamp=NOON, arrival=NOON + 10 * MINUTE))
    ) == (1, 0, 0, 0)
    assert ends(run(made, of_records({"time": NOON}, timestamp=NOON + 2 * MINUTE, arrival=NOON))) == (
        0,
        1,
        0,
        0,
    )


def test_rows_whose_bucket_has_expired_are_dropped_and_counted() -> None:
    made = pipeline(c.count("m", every="1m"), c.count("h", every="1h"), retention="1h")
    just = NOON - 60 * MINUTE - MINUTE  # its minute ended an hour ago
    outcome = run(made, of_records({"time": just}, {"time": just - 1}, {"time": just - 180 * MINUTE}))
    assert ends(outcome) == (2, 1, 0, 0)
    assert outcome.result["expired"] == 2
    assert values(made, outcome, "m") == {(just // 1000, "[]"): 1}
    assert values(made, outcome, "h") == {(just // 3_600_000 * 3600, "[]"): 2}


def test_all_time_never_expires() -> None:
    made = pipeline(c.count("m", every="1m"), c.count("all"), retention="1h")
    outcome = run(made, of_records({"time": 0}))
    assert ends(outcome) == (1, 0, 0, 0)
    assert outcome.result["expired"] == 1
    assert values(made, outcome, "m") == {}
    assert values(made, outcome, "all") == {(0, "[]"): 1}


# Verdicts, probation, warnings


def never(value: bytes) -> None:
    raise AssertionError("user code is not to be run")


def test_a_verdict_makes_letters_without_running_user_code() -> None:
    made = pipeline(transform=never)
    outcome = run(made, of_records({}, {}, reason="timeout", verdict="took more than 60 s"))
    assert ends(outcome) == (0, 0, 0, 2)
    assert [(letter["reason"], letter["error"]) for letter in outcome.result["letters"]] == [
        ("timeout", "took more than 60 s")
    ] * 2


def test_an_oversized_record_is_one_letter() -> None:
    batch = Batch("oversized", "file-1", "a.log", 5, 5, 10**9, arrival_ms=NOON)
    outcome = run(pipeline(transform=never), (batch, b"head"))
    assert ends(outcome) == (0, 0, 0, 1)
    assert outcome.result["letters"][0]["reason"] == "oversized"


@pytest.mark.parametrize("probation", [False, True])
def test_records_that_cannot_be_decoded_are_dead_beside_others(probation: bool) -> None:
    good, broken = record_batch(0, rows(b"{}", b"nonsense")), record_batch(2, rows(*[b"{}"] * 2_000))
    broken = refilled(broken, b"\xff")
    batch = Batch("kafka", "topic/0", "topic/0", 0, 0, 2_002, NOON, probation=probation)
    outcome = run(pipeline(), (batch, good + broken))
    assert ends(outcome) == (1, 0, 0, 2_001)
    assert [letter["offset"] for letter in outcome.result["letters"]] == list(range(1, 2_002))
    outcome = run(pipeline(), (replace(batch, first=2), good + broken))
    assert ends(outcome) == (0, 0, 0, 2_000)


def test_under_probation_bad_values_are_a_mistake_too() -> None:
    made = pipeline(c.count("n", every="1m"))
    rows: list[dict[str, Any]] = [{}] * 1000
    with pytest.raises(Hopeless, match=r"first 1,000 records failed.*`time`"):
        run(made, of_records(*rows, probation=True))
    assert run(made, of_records(*rows)).dead == 1000
    assert run(made, of_records(*rows[1:], probation=True)).dead == 999
    assert run(made, of_records(*rows, {"time": NOON}, probation=True)).counted == 1


class Tag:
    """Has whatever is asked for, as elements of HTML do: None."""

    def __getattr__(self, name: str) -> None:
        return None


class Fields(dict[str, Any]):
    """A dict whose fields are attributes, too."""

    __getattr__ = dict.__getitem__


class Nowhere(tzinfo):
    """A time zone that does not know where it is."""

    def utcoffset(self, when: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    "value",
    [
        Tag(),
        Fields(),
        polars.Series([1.5]),
        datetime(2015, 5, 17, tzinfo=Nowhere()),
        pa.scalar(1, pa.timestamp("ns")),
        2**1024 - 1,
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_value_is_it_costs_its_own_record_at_most(value: Any) -> None:
    good = {"time": NOON, "a": 1, "b": 1}
    metrics = [
        c.count("n", by="a", every="1m"),
        c.sum("s", of="b"),
        c.quantiles("q", of="b"),
        c.top("t", of="b"),
    ]
    for field in good:
        rows = [good, good | {field: value}]
        outcome = run(
            pipeline(*metrics, transform=lambda index, rows=rows: rows[int(index)]), of_records(0, 1)
        )
        assert outcome.counted + outcome.dead == 2
        assert outcome.counted >= 1


def test_a_field_that_is_never_there_gets_one_warning_with_the_fields_seen() -> None:
    made = Computation(
        pipeline(c.count("n", by=["status", "metod"]), c.sum("s", of="bites"), dedup=c.by_id("id"))
    )
    for _ in range(2):
        run(made, of_records({"status": None, "method": "GET", "bytes": 5}), ClaimStore())
    warnings = made.warnings()
    assert [warning.split("'")[1] for warning in warnings] == ["metod", "bites", "id"]
    assert all("fields seen: status, method, bytes" in warning for warning in warnings)
    assert "'n'" in warnings[0]
    assert made.warnings() == []


def test_batches_without_rows_do_not_warn() -> None:
    made = Computation(pipeline(c.count("n", by="status")))
    run(made, of_records(b"nonsense"))
    run(made, of_records({"status": 1}))
    assert made.warnings() == []


# Batch transforms


def test_a_batch_transform_with_pandas() -> None:
    made = c.Pipeline(
        "p",
        metrics=[c.count("n", by="status", every="1m"), c.sum("s", of="size"), c.quantiles("q", of="size")],
        dedup=c.by_id("id"),
    )

    @made.transform_batch
    def parse(batch: pa.RecordBatch) -> pandas.DataFrame:
        frame = pandas.DataFrame(map(json.loads, batch.column("value").to_pylist()))
        frame["time"] = pandas.to_datetime(frame["time"], unit="ms")
        frame["offset"] = batch.column("offset").to_pandas()
        return frame[frame["status"] != 404]

    rows = [
        {"time": NOON, "status": 200, "size": 1, "id": 1},
        {"time": NOON, "status": None, "size": None, "id": 2},
        {"time": NOON, "status": 404, "size": 7, "id": 3},
        {"time": NOON + MINUTE, "status": 200, "size": 2, "id": 1},
    ]
    outcome = run(made, of_records(*rows), ClaimStore())
    assert ends(outcome) == (2, 1, 1, 0)
    assert values(made, outcome, "n") == {(NOON // 1000, "[200]"): 1, (NOON // 1000, "[null]"): 1}
    assert values(made, outcome, "s") == {(0, "[]"): 1}


def test_an_infinity_from_a_batch_transform_is_a_letter() -> None:
    made = c.Pipeline("p", metrics=[c.sum("s", of="x")])
    made.transform_batch(lambda batch: pandas.DataFrame({"x": [1.0, math.inf, math.nan]}))
    outcome = run(made, of_records({}, {}, {}))
    assert ends(outcome) == (2, 0, 0, 1)
    assert values(made, outcome, "s") == {(0, "[]"): 1}


def test_values_that_a_dictionary_of_arrow_has_twice_are_one() -> None:
    made = c.Pipeline("p", metrics=[c.count("n", by=["k"]), c.top("t", of="k")])
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), pa.array(["a", "a"]))
    made.transform_batch(lambda batch: pa.table({"k": twice}))
    outcome = run(made, of_records({}, {}, {}))
    assert outcome.result["metrics"]["n"] == {"buckets": [(0, 1)], "keys": ['["a"]'], "deltas": [3]}
    assert outcome.result["metrics"]["t"]["deltas"] == [{'"a"': 3}]


# The whole


ROW = st.fixed_dictionaries(
    {},
    optional={
        "by": st.sampled_from(["a", "b", 1, 1.0, True, None, math.inf]),
        "x": st.integers(-5, 5) | st.none() | st.just("bad"),
        "time": st.integers(NOON - 200_000, NOON),
        "id": st.integers(0, 6) | st.none(),
    },
)


@settings(deadline=None)
@given(st.lists(st.none() | st.lists(ROW, max_size=3), max_size=12), st.randoms(use_true_random=False))
def test_however_the_records_are_cut_the_results_are_the_same(batch: Any, choice: random.Random) -> None:
    made = c.Pipeline(
        "p",
        metrics=[c.count("n", by="by", every="1m"), c.sum("s", of="x", by="by"), c.distinct("d", of="by")],
        dedup=c.by_id("id"),
        late="2m",
        rows=["x", "by", "time"],
    )
    made.transform(lambda value: batch[int(value)])
    payload = [b"%d" % index for index in range(len(batch))]
    whole = run(made, of_records(*payload), ClaimStore())

    claims, total, results = ClaimStore(), Counter[str](), []
    kept: dict[tuple[str, int, int], Any] = {}
    at = 0
    while at < len(payload):
        size = choice.randint(1, 4)
        part = run(made, of_records(*payload[at : at + size], first=at), claims)
        total.update(counted=part.counted, dropped=part.dropped, duplicates=part.duplicates, dead=part.dead)
        results.append(part.result)
        kept.update(output(part))
        at += size
    assert (total["counted"], total["dropped"], total["duplicates"], total["dead"]) == ends(whole)
    assert kept == output(whole)
    assert len({offset for _, offset, _ in kept}) == whole.counted
    for metric in made.metrics:
        cells: dict[tuple[int, str], Any] = {}
        for result in results:
            columns = result["metrics"][metric.name]
            for cell, delta in zip(cells_of(columns), columns["deltas"], strict=True):
                state = metric.unpack(delta)
                cells[cell] = metric.merge(cells[cell], state) if cell in cells else state
        merged = {cell: metric.value(state) for cell, state in cells.items()}
        assert merged == values(made, whole, metric.name)


def test_the_example_log_is_counted_as_by_hand() -> None:
    log = (Path(__file__).parents[2] / "examples" / "access.log").read_bytes()
    made = c.Pipeline("p", metrics=[c.count("n", by="status"), c.top("pages", of="path", k=1)])

    @made.transform
    def parse(line: bytes) -> dict[str, Any]:
        words = line.split()
        return {"status": int(words[8]), "path": words[6]}

    batch = Batch("lines", "file-1", "access.log", 0, 0, len(log), arrival_ms=NOON)
    outcome = run(made, (batch, log))
    words = [line.split() for line in log.split(b"\n") if line]
    statuses = Counter(int(word[8]) for word in words)
    assert values(made, outcome, "n") == {(0, f"[{status}]"): rows for status, rows in statuses.items()}
    [[path, rows]] = Counter(word[6].decode() for word in words).most_common(1)
    [found] = values(made, outcome, "pages")[0, "[]"]
    assert (found["item"], found["estimate"]) == (path, rows)


def test_a_number_that_a_batch_transform_s_rows_share_makes_letters_of_all_of_them() -> None:
    made = c.Pipeline("p", metrics=[c.sum("s", of="x")])

    @made.transform_batch
    def parse(batch: pa.RecordBatch) -> pa.Table:
        return pa.table({"x": pa.array(["one", None, "one"], pa.string())})

    outcome = run(made, of_records({}, {}, {}))
    assert ends(outcome) == (1, 0, 0, 2)
    assert "not a number" in errors(outcome)[0]
