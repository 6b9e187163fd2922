from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from letters_contract import Connect, Flush, LettersContract
from real_services import RealServices
from steps import assigned, generation, letter, step

from comporta import addresses, brokers
from comporta.addresses import KafkaAddress
from comporta.letters import LetterStore, LetterWriter, identity, letter_writer, open_letters
from comporta.letters.kafka import IN_MEMORY
from comporta.letters.wire import LARGEST, Message, to_message
from comporta.payloads import Letter
from comporta.sinks import open_sink

GENERATION = "generation-1"
MIB = 1 << 20


@pytest.fixture
def dead(services: RealServices) -> str:
    return f"kafka://{services.kafka}/letters-{uuid.uuid4().hex}.dead"


@pytest.fixture
def address(dead: str) -> KafkaAddress:
    return addresses.kafka(dead)


@pytest.fixture
def writer(dead: str) -> LetterWriter:
    return writer_of(dead)


@pytest.fixture
def store(dead: str) -> LetterStore:
    return store_of(dead)


def writer_of(dead: str, pipeline: str = "access-log") -> LetterWriter:
    writer = letter_writer(dead, pipeline)
    assert writer
    return writer


def store_of(dead: str, pipeline: str = "access-log", generation: str = GENERATION) -> LetterStore:
    return open_letters("sqlite:unused.db", generation, dead, pipeline)


def put(address: KafkaAddress, messages: Sequence[Message], partition: int = 0) -> None:
    """Messages as anyone may write them to a topic."""

    async def work() -> None:
        async with AIOKafkaProducer(**brokers.settings(address)) as producer:
            for key, value, headers in messages:
                await producer.send_and_wait(
                    address.topics[0], value, key=key, headers=headers, partition=partition
                )

    asyncio.run(work())


class TestKafkaLetters(LettersContract):
    @pytest.fixture
    def flush(self, dead: str) -> Flush:
        return lambda letters: writer_of(dead).write(GENERATION, letters)

    @pytest.fixture
    def connect(self, dead: str) -> Connect:
        return lambda: store_of(dead)


def test_a_topic_that_is_not_there_has_no_letters(store: LetterStore) -> None:
    assert list(store.letters()) == []
    assert store.find(("file-1", 3, 0)) is None
    assert store.replay_after(0, 10) == []


def test_letters_of_others_are_passed_over(dead: str, store: LetterStore) -> None:
    others = store_of(dead, "another"), store_of(dead, generation="generation-2")
    writer_of(dead).write(GENERATION, [letter(1)])
    writer_of(dead).write("generation-2", [letter(2)])
    writer_of(dead, "another").write(GENERATION, [letter(number) for number in range(3, 40)])
    others[0].replay([("file-1", number, 0) for number in range(3, 40)])
    others[1].replay([("file-1", 2, 0)])
    assert list(store.letters()) == [letter(1)]
    assert store.find(("file-1", 2, 0)) is None
    assert store.replay_after(0, 2) == []
    store.replay([("file-1", 1, 0)])
    ((sequence, found),) = store.replay_after(0, 2)
    assert found == letter(1)
    assert store.replay_after(sequence, 2) == []
    assert [found["offset"] for _, found in others[1].replay_after(0, 2)] == [2]


def test_a_letter_that_is_written_twice_is_one(writer: LetterWriter, store: LetterStore) -> None:
    for _ in range(2):
        writer.write(GENERATION, [letter(3), letter(4), letter(3, attempt=1)])
    assert [identity(found) for found in store.letters()] == [
        ("file-1", 3, 0),
        ("file-1", 3, 1),
        ("file-1", 4, 0),
    ]


def test_what_is_added_later_is_seen(writer: LetterWriter, store: LetterStore) -> None:
    writer.write(GENERATION, [letter(3)])
    assert len(list(store.letters())) == 1
    writer.write(GENERATION, [letter(4)])
    assert store.find(("file-1", 4, 0)) == letter(4)
    assert len(list(store.letters())) == 2


def test_more_letters_than_memory_holds(writer: LetterWriter, store: LetterStore) -> None:
    letters = [letter(number, value=bytes([number]) * 900_000, length=900_000) for number in range(40)]
    assert sum(len(each["value"] or b"") for each in letters) > IN_MEMORY
    writer.write(GENERATION, letters)
    for found, given in zip(store.letters(), letters, strict=True):
        assert found == given


def test_an_sqlite_store_hands_its_letters_over(dead: str, tmp_path: Path) -> None:
    sink = open_sink(f"sqlite:{tmp_path}/store.db", create=True, dead=dead, pipeline="access-log")
    current = generation()
    sink.install(current, instead_of=None)
    (last,) = sink.open(current.id, [assigned("access/0")])
    letters = [letter(3, partition="access/0"), letter(4, partition="access/0")]
    assert sink.flush(current.id, [step(last, 10, letters=letters)]) == [True]
    assert list(store_of(dead, generation=current.id).letters()) == letters


def damaged(change: Callable[[dict[str, bytes | None]], None]) -> Message:
    key, value, headers = to_message(letter(9), "access-log", GENERATION)
    contents = dict(headers)
    change(contents)
    return key, value, list(contents.items())


GARBAGE: list[Message] = [
    (b"", None, []),
    (b"\xff", b"\xff" * 100, [("comporta.pipeline", b"access-log")]),
    (b"key", b"value", [("comporta.pipeline", None)] * 15),
    damaged(lambda contents: contents.update({"comporta.offset": b"ten"})),
    damaged(lambda contents: contents.update({"comporta.offset": b"\xff\xfe"})),
    damaged(lambda contents: contents.update({"comporta.next": b"9" * 5000})),
    damaged(lambda contents: contents.update({"comporta.length": b"9" * 30})),
    damaged(lambda contents: contents.update({"comporta.at": None})),
    damaged(lambda contents: contents.update({"comporta.partition": b"file-2"})),
    damaged(lambda contents: contents.update({"comporta.error": b"\xc3"})),
    damaged(lambda contents: contents.pop("comporta.shown") and None),
]


def test_garbage_is_passed_over(address: KafkaAddress, writer: LetterWriter, store: LetterStore) -> None:
    writer.write(GENERATION, [letter(3)])
    brokers.ensure_topics(address.replay)
    for topic in (address, address.replay):
        put(topic, GARBAGE)
    writer.write(GENERATION, [letter(4)])
    assert [found["offset"] for found in store.letters()] == [3, 4]
    store.replay([("file-1", 4, 0)])
    assert [found["offset"] for _, found in store.replay_after(0, 10)] == [4]


def test_letters_are_read_from_all_partitions(
    address: KafkaAddress, writer: LetterWriter, store: LetterStore
) -> None:
    brokers.ensure_topics(address, partitions=3)
    letters = [letter(number) for number in range(2_500)]
    writer.write(GENERATION, letters)
    assert list(store.letters()) == letters


LARGE: dict[str, Letter] = {
    "value": letter(1, value=b"v" * (3 * MIB), length=3 * MIB),
    "traceback": letter(2, traceback="é" * MIB),
    "error": letter(3, error="é" * MIB),
    "headers": letter(4, headers=[(f"header-{number}", b"h" * 1000) for number in range(2000)]),
    "header": letter(5, headers=[("h" * 30_000, None), ("large", b"h" * MIB)]),
    "key": letter(6, key=b"k" * (2 * MIB)),
    "tombstone": letter(7, value=None, length=0, key=b"k" * MIB),
    "shown": letter(8, shown="/" + "s" * MIB),
    "all": letter(
        9, value=b"v" * MIB, length=MIB, traceback="t" * MIB, error="e" * MIB, key=b"k" * MIB, shown="s" * MIB
    ),
}


@pytest.mark.parametrize("limit", [LARGEST, 100_000, 3_000])
def test_letters_over_every_limit_are_shortened_and_not_whole(
    address: KafkaAddress, writer: LetterWriter, store: LetterStore, limit: int
) -> None:
    brokers.ensure_topics(address, config={"max.message.bytes": str(limit)})
    small = [letter(number) for number in range(100, 120)]
    writer.write(GENERATION, [*LARGE.values(), *small])
    found = list(store.letters())
    assert [identity(each) for each in found] == [identity(each) for each in [*LARGE.values(), *small]]
    assert found[len(LARGE) :] == small
    for name, kept in zip(LARGE, found, strict=False):
        given = LARGE[name]
        is_whole = len(kept["value"] or b"") == kept["length"]
        same = all(kept[part] == given[part] for part in ("value", "key", "headers"))  # type: ignore[literal-required]
        assert is_whole == same
        assert (given["value"] or b"").startswith(kept["value"] or b"")
        assert given["error"].startswith(kept["error"])
