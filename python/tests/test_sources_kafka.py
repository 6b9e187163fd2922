from __future__ import annotations

import hashlib
import inspect
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from kafka_topics import Topic, open_transaction
from kafka_topics import broker as broker
from source_contract import LIMITS, PATIENCE, SourceContract, begin, listed, next_batch, read_all

from comporta import brokers, records
from comporta.addresses import kafka
from comporta.errors import SourceError, UsageError
from comporta.formats import decode
from comporta.letters.wire import to_message
from comporta.payloads import Known, KnownPartition, Letter, Origin
from comporta.sources import Batch, Limits, Source, open_source
from comporta.sources.kafka import KafkaSource, consumer, resolve
from comporta.sources.kafka import group as module_group

QUIET = 1.0

Open = Callable[..., KafkaSource]


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPORTA_DATA", str(tmp_path))
    monkeypatch.setenv("COMPORTA_SESSION_TIMEOUT", "6s")
    monkeypatch.setattr(module_group, "WATCH_EVERY", 1.0)
    monkeypatch.setattr(module_group, "REJOIN_EVERY", 1.0)
    monkeypatch.setattr(module_group, "DRAIN_BOUND", 1.0)


@pytest.fixture
def group() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture(params=["slices", "records"])
def open_kafka(request: pytest.FixtureRequest, group: str) -> Iterator[Open]:
    """Opens sources, by record batches and by the fallback."""
    opened: list[KafkaSource] = []

    def open(
        url: str,
        *,
        origin: Origin | None = None,
        upto: dict[str, int] | None = None,
        until_end: bool = False,
        limits: Limits = LIMITS,
        pipeline: str = "",
        **more: Any,
    ) -> KafkaSource:
        source = KafkaSource(
            url,
            known(origin or resolve(url, "earliest"), upto or {}),
            until_end,
            limits,
            pipeline or group,
            is_slicing=request.param == "slices",
            **more,
        )
        opened.append(source)
        return source

    yield open
    for source in opened:
        source.close()


def known(origin: Origin | None, upto: dict[str, int]) -> Known:
    partitions = [
        KnownPartition(partition=name, shown=name, upto=offset, mark=b"", meta=b"")
        for name, offset in upto.items()
    ]
    return Known(
        generation="generation",
        started=True,
        start=None,
        partitions=partitions,
        origin=origin,
        generations=None,
    )


def decoded(batch: Batch) -> records.Decoded:
    return decode(
        records.Batch(
            batch.format,
            batch.partition,
            batch.shown,
            batch.base,
            batch.first,
            batch.next,
            arrival_ms=0,
            replay=batch.replay,
        ),
        bytes(batch.payload),
    )


def values(batches: Sequence[Batch]) -> list[bytes | None]:
    return [value for batch in batches for value in decoded(batch).values]


def offsets(batches: Sequence[Batch]) -> list[int]:
    return [offset for batch in batches for offset in decoded(batch).offsets]


def wait(condition: Callable[[], Any], *sources: Source) -> Any:
    """What `condition` gives once that is something; sources are polled meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline, "it does not come"
        for source in sources:
            source.read()
        time.sleep(0.02)
    return result


class TestKafka(SourceContract):
    quiet = QUIET

    @pytest.fixture(autouse=True)
    def _open(self, open_kafka: Open) -> None:
        self._open_kafka = open_kafka

    def make(self, records: Sequence[bytes], until_end: bool) -> Source:
        topic = Topic(2)
        topic.send(records[::2], 0, max_batch_size=300)
        topic.send(records[1::2], 1, each=True)
        return self._open_kafka(topic.url, until_end=until_end)

    def values(self, batch: Batch) -> list[bytes]:
        return [value for value in values([batch]) if value is not None]


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read(open_kafka: Open, compression: str | None) -> None:
    topic = Topic()
    lines = [b"line %d" % number for number in range(500)]
    topic.send(lines, compression_type=compression, linger_ms=20)
    source = open_kafka(topic.url)
    begin(source)
    assert values(read_all(source, QUIET)) == lines


def test_only_what_is_committed_is_read_and_nothing_is_left_out_between(open_kafka: Open) -> None:
    topic = Topic()
    topic.send([b"before"])
    topic.transact(
        [([b"a", b"b"], True), ([b"x"] * 3, False), ([b"c"], True), ([b"y"], False), ([b"z"], False)]
    )
    topic.send([b"after"])
    topic.transact([([b"w"], False)])
    source = open_kafka(topic.url, until_end=True)
    starts = begin(source)
    batches = read_all(source, QUIET)
    assert values(batches) == [b"before", b"a", b"b", b"c", b"after"]
    position = starts[f"{topic.name}/0"]
    for batch in batches:
        assert batch.first == position
        position = batch.next
    assert (f"{topic.name}/0", position) in source.ends()


def test_an_open_transaction_holds_back_what_follows_it(open_kafka: Open) -> None:
    topic = Topic()
    topic.send([b"before"])
    source = open_kafka(topic.url)
    begin(source)
    assert values([next_batch(source) or pytest.fail("nothing")]) == [b"before"]
    with open_transaction(topic, [b"open"]):
        topic.send([b"after"])
        assert read_all(source, QUIET) == []
    assert values(read_all(source, 2 * QUIET)) == [b"after"]


def test_a_seek_into_a_record_batch_reads_from_there(open_kafka: Open) -> None:
    topic = Topic()
    topic.send([b"%d" % number for number in range(100)], linger_ms=100, compression_type="lz4")
    source = open_kafka(topic.url)
    listed(source)
    source.seek(f"{topic.name}/0", 37)
    batches = read_all(source, QUIET)
    assert values(batches) == [b"%d" % number for number in range(37, 100)]
    assert batches[0].first == 37
    assert batches[-1].next == 100


def test_offsets_have_gaps_after_compaction(open_kafka: Open) -> None:
    topic = Topic(
        cleanup_policy="compact",
        segment_ms="100",
        min_cleanable_dirty_ratio="0.001",
        max_compaction_lag_ms="1000",
    )
    for number in range(5):
        topic.send([b"%d %d" % (number, key) for key in range(3)], keys=[b"0", b"1", b"2"], each=True)
        time.sleep(0.2)
    topic.send([b"last"], keys=[b"last"])
    source = open_kafka(topic.url)
    begin(source)
    batches = read_all(source, QUIET)
    assert (values(batches)[-1], batches[-1].next) == (b"last", 16)
    kept = wait(lambda: compacted(source, topic.name))
    assert len(kept) < 16
    assert kept[-1] == 15


def compacted(source: Source, topic: str) -> list[int]:
    """The offsets that are there, once there are gaps in them."""
    source.seek(f"{topic}/0", 0)
    batches = read_all(source, QUIET)
    assert [batch.first for batch in batches] == [0, *(batch.next for batch in batches[:-1])]
    found = offsets(batches)
    return found if len(found) < 16 else []


def test_several_topics_are_read(open_kafka: Open) -> None:
    one, two = Topic(), Topic()
    one.send([b"one"])
    two.send([b"two"])
    source = open_kafka(f"{one.url},{two.name}")
    assert set(begin(source)) == {f"{one.name}/0", f"{two.name}/0"}
    assert sorted(filter(None, values(read_all(source, QUIET)))) == [b"one", b"two"]


def test_records_keep_all_that_they_carry(open_kafka: Open) -> None:
    topic = Topic()
    topic.send(
        [b"value", None], keys=[None, b"key"], headers=[("name", b"text")], timestamp=1_700_000_000_000
    )
    source = open_kafka(topic.url)
    begin(source)
    (batch,) = read_all(source, QUIET)
    found = decoded(batch)
    assert list(found.values) == [b"value", None]
    assert list(found.keys) == [None, b"key"]
    assert list(found.headers) == [[("name", b"text")]] * 2
    assert list(found.timestamps) == [1_700_000_000_000] * 2
    assert found.middle == 1
    assert list(found.ends) == [1, 2]
    assert [(record.topic, record.partition, record.offset) for record in found.records()] == [
        (topic.name, 0, 0),
        (topic.name, 0, 1),
    ]


def test_a_record_that_is_too_long_is_a_batch_of_its_own(open_kafka: Open) -> None:
    topic = Topic()
    long = b"x" * 900_000
    for value in (b"one", long, b"two"):
        topic.send([value])
    source = open_kafka(topic.url, limits=Limits(batch_bytes=1000, max_record=100_000))
    begin(source)
    batches = read_all(source, QUIET)
    assert [batch.count for batch in batches] == [1, 1, 1]
    assert max(len(batch.payload) for batch in batches) < 100_000
    found = decoded(batches[1])
    assert found.verdict
    assert found.verdict.reason == "oversized"
    assert list(found.lengths) == [900_000]
    assert found.values[0] == long[: 64 << 10]
    assert decoded(batches[2]).verdict is None


def test_one_whose_headers_are_too_long_is_as_long_as_all_of_it(open_kafka: Open) -> None:
    topic = Topic()
    topic.send([b"value", None], keys=[b"key", b"k" * 70_000], headers=[("name", b"h" * 50_000)])
    source = open_kafka(topic.url, limits=Limits(batch_bytes=1000, max_record=40_000))
    begin(source)
    one, two = map(decoded, read_all(source, QUIET))
    assert (list(one.values), list(one.keys)) == ([b"value"], [b"key"])
    assert (list(two.values), list(two.keys)) == ([b""], [None])
    assert [*one.lengths, *two.lengths] == [5 + 3 + 4 + 50_000, 70_000 + 4 + 50_000]


def test_backlog_is_known_and_ends_of_all_partitions_are_told(open_kafka: Open) -> None:
    topic = Topic(2)
    topic.send([b"one"] * 3)
    source = open_kafka(topic.url, until_end=True, dead=f"{topic.url}.dead")
    starts = begin(source)
    assert starts == {f"{topic.name}/0": 0, f"{topic.name}/1": 0, "replay": 0}
    ends = {f"{topic.name}/0": 3, f"{topic.name}/1": 0, "replay": 0}
    assert dict(source.ends()) == ends
    assert dict(source.backlog()) == ends
    topic.send([b"two"])
    assert offsets(read_all(source, QUIET)) == [0, 1, 2]
    assert wait(lambda: dict(source.backlog())[f"{topic.name}/0"] == 3)


def test_the_starts_are_resolved_once(open_kafka: Open) -> None:
    topic = Topic(2)
    topic.send([b"old"], timestamp=1_700_000_000_000)
    topic.send([b"new"], timestamp=1_750_000_000_000)
    names = [f"{topic.name}/0", f"{topic.name}/1"]

    def starts(start: str) -> list[int]:
        origin = resolve(topic.url, start)
        assert origin["starts"]["replay"] == 0
        assert set(origin["topics"]) == {topic.name}
        return [origin["starts"][name] for name in names]

    assert starts("earliest") == [0, 0]
    assert starts("latest") == [2, 0]
    assert starts("2023-11-14T22:13:20Z") == [0, 0]
    assert starts("2024-01-01T00:00:00") == [1, 0]
    assert starts("2040-01-01T00:00:00Z") == [2, 0]
    with pytest.raises(SourceError, match="is not earliest, latest or a time"):
        resolve(topic.url, "yesterday")
    latest = resolve(topic.url, "latest")
    topic.send([b"newer"])
    source = open_kafka(topic.url, origin=latest)
    assert begin(source)[names[0]] == 2
    assert values(read_all(source, QUIET)) == [b"newer"]


def test_what_was_deleted_before_it_was_processed_is_said_and_counted(
    open_kafka: Open, caplog: pytest.LogCaptureFixture
) -> None:
    topic = Topic()
    topic.send([b"%d" % number for number in range(10)], each=True)
    source = open_kafka(topic.url)
    listed(source)
    topic.delete_records(6)
    source.seek(f"{topic.name}/0", 2)
    batches = read_all(source, QUIET)
    assert (batches[0].first, batches[0].next, batches[0].count) == (2, 6, 0)
    assert values(batches) == [b"6", b"7", b"8", b"9"]
    assert [batch.lost for batch in batches] == [True, *[False] * (len(batches) - 1)]
    assert "4 offsets, from 2 up to 6, are lost" in caplog.text


def test_there_is_news_until_it_is_told(open_kafka: Open) -> None:
    source = open_kafka(Topic().url)
    wait(source.has_news)
    listed(source)
    source.ends()
    assert not source.has_news()


def test_a_topic_that_was_made_anew_is_refused(open_kafka: Open) -> None:
    topic = Topic()
    topic.send([b"one"])
    origin = resolve(topic.url, "earliest")
    running = open_kafka(topic.url)
    begin(running)
    topic.delete()
    topic.make()
    with pytest.raises(SourceError, match="deleted and made anew"):
        listed(open_kafka(topic.url, origin=origin))
    with pytest.raises(SourceError, match="deleted and made anew"):
        wait(running.discover, running)


def test_a_position_beyond_the_end_is_refused(open_kafka: Open) -> None:
    topic = Topic()
    topic.send([b"one"])
    source = open_kafka(topic.url, upto={f"{topic.name}/0": 5})
    with pytest.raises(SourceError, match="ends at offset 1, and what was processed ends at 5"):
        listed(source)


def test_a_missing_topic_is_said(open_kafka: Open) -> None:
    with pytest.raises(SourceError, match="no topic 'missing-topic'"):
        listed(open_kafka(f"kafka://{Topic.server}/missing-topic", origin=Origin(topics={}, starts={})))


def test_offsets_are_committed_and_name_the_generation(open_kafka: Open, group: str) -> None:
    topic = Topic()
    topic.send([b"one", b"two"])
    source = open_kafka(topic.url)
    begin(source)
    read_all(source, QUIET)
    source.checkpoint(f"{topic.name}/0", 2)
    source.close()
    assert committed(group, topic) == {(topic.name, 0): (2, "generation")}


def committed(group: str, topic: Topic) -> dict[tuple[str, int], tuple[int, str]]:
    found = topic._administer(lambda admin: admin.list_consumer_group_offsets(group))
    return {tuple(partition): tuple(offset) for partition, offset in found.items()}


def test_replayed_letters_are_read_as_a_partition_and_those_of_others_are_passed_over(
    open_kafka: Open, group: str
) -> None:
    topic = Topic()
    address = kafka(f"{topic.url}.dead")
    brokers.ensure_topics(address.replay)
    letters = [letter(topic, number) for number in range(4)]
    shortened = letter(topic, 4) | {"length": 10_000}
    valueless = letter(topic, 5) | {"value": None, "length": 10_000}
    messages = [
        to_message(letters[0], "pipeline", "another"),
        to_message(letters[1], "pipeline", "generation"),
        (None, b"no letter", []),
        to_message(letters[2], "another", "generation"),
        to_message(letters[3], "pipeline", "generation"),
        to_message(cast(Any, shortened), "pipeline", "generation"),
        to_message(cast(Any, valueless), "pipeline", "generation"),
    ]
    replay = Topic.of(address.replay.topics[0])
    for key, value, headers in messages:
        replay.send([value], keys=[key], headers=headers)
    source = open_kafka(topic.url, dead=str(address), pipeline="pipeline", until_end=True)
    begin(source)
    batches = read_all(source, QUIET)
    assert [(batch.first, batch.next, batch.count) for batch in batches] == [(0, 2, 1), (2, 5, 1), (5, 7, 0)]
    assert [batch.replay for batch in batches[:2]] == [(f"{topic.name}/0", 1, 0), (f"{topic.name}/0", 3, 0)]
    found = decoded(batches[1])
    assert (list(found.values), list(found.offsets), list(found.headers)) == (
        [b"value 3"],
        [3],
        [[("own", b"header")]],
    )
    assert dict(source.ends())["replay"] == 7


def letter(topic: Topic, number: int) -> Letter:
    return Letter(
        partition=f"{topic.name}/0",
        shown=f"{topic.name}/0",
        offset=number,
        next=number + 1,
        attempt=0,
        reason="transform",
        error="ValueError",
        traceback=None,
        value=b"value %d" % number,
        length=7,
        key=b"key",
        headers=[("own", b"header")],
        timestamp=1_700_000_000_000,
        at=1_700_000_000_001,
        code="",
    )


def test_without_demand_it_keeps_its_partitions_and_bounds_what_it_holds(
    open_kafka: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPORTA_MAX_POLL_INTERVAL", "1s")
    topic = Topic()
    lines = [b"%06d" % number + b"x" * 1000 for number in range(12_000)]
    topic.send(lines)
    limits = Limits(batch_bytes=50_000, max_record=1_000_000)
    source = open_kafka(topic.url, limits=limits)
    begin(source)
    inbox = source._inbox
    wait(inbox.is_full)
    generation = source._client._group._number
    time.sleep(3)
    assert inbox._held_bytes < 8 << 20
    assert values(read_all(source, QUIET)) == lines
    assert source.revoked() == []
    assert source._client._group._number == generation


def test_an_environment_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"kafka://{Topic.server}/topic"
    for variable in ("COMPORTA_SESSION_TIMEOUT", "COMPORTA_MAX_POLL_INTERVAL"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "soon")
            with pytest.raises(UsageError, match=f"{variable} is 'soon'"):
                open_source(url, known(None, {}), "earliest", False, LIMITS, pipeline="pipeline")
    monkeypatch.setenv("COMPORTA_INSTANCE_ID", "not an id")
    with pytest.raises(UsageError, match="COMPORTA_INSTANCE_ID is 'not an id'"):
        open_source(url, known(None, {}), "earliest", False, LIMITS, pipeline="pipeline")


def test_a_session_that_the_broker_does_not_allow_is_refused(
    open_kafka: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPORTA_SESSION_TIMEOUT", "1ms")
    with pytest.raises(SourceError, match="the group does not take this process in"):
        listed(open_kafka(Topic().url))


def test_partitions_take_turns(open_kafka: Open) -> None:
    topic = Topic(2)
    for partition in range(2):
        # Two batches each: all that one partition has, which may come first, leaves room for the other's.
        topic.send([b"%06d" % number for number in range(200)], partition, max_batch_size=300)
    source = open_kafka(topic.url, limits=Limits(batch_bytes=2000, max_record=100_000))
    begin(source)
    wait(lambda: len(source._inbox._turns) == 2)
    assert len({batch.partition for batch in (next_batch(source), next_batch(source)) if batch}) == 2


def test_aiokafka_is_built_as_its_replaced_parts_expect() -> None:
    """When this fails, compare what has changed there with sources/kafka, and run the tests of it."""
    assert consumer.can_slice()
    parts = [Fetcher, FetchResult, PartitionRecords, GroupCoordinator, CoordinatorGroupRebalance]
    source = "".join(inspect.getsource(part) for part in parts)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == "dd39bc58cda65a21"
