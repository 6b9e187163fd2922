"""The protocol of `exactly_once_model` on the real fold, sink, claims and letters, under random schedules.

Owners fold and flush; they are killed between any two operations, or replaced and go on as zombies. Every run
of a record may choose other groups, and may fail. Producers repeat themselves, dead letters are replayed more
than once. At the end everything is finished, and every event must be counted exactly once in every metric,
and have exactly one output row, at its source position, that says what was counted of it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from batches import states
from steps import assigned, columns, generation, metric, output
from steps import letter as dead_letter

from comporta import dead
from comporta.audit import audit
from comporta.dedup import ClaimStore
from comporta.fold import Fold
from comporta.forgotten import Forgotten
from comporta.generations import Generation
from comporta.letters import LetterId, LetterStore, identity, to_text
from comporta.metrics import from_definition
from comporta.payloads import Claim, Letter, Result
from comporta.query import query
from comporta.sinks import Ledger, Sink, Snapshot
from comporta.sinks.contract import REPLAY

DEFINITIONS = [metric("requests", by=["group"], every=60), metric("events", "sum", of="place", by=["group"])]
METRICS = {definition["name"]: from_definition(definition) for definition in DEFINITIONS}
STRIDE = 10  # offsets have gaps
PARTITIONS = ("file-0", "file-1", REPLAY)


@dataclass(frozen=True)
class Record:
    """An event at a position of a partition's log; a replayed one also has where it came from."""

    offset: int
    event: int
    source: LetterId


@dataclass
class World:
    """What all owners see."""

    rnd: random.Random
    generation: Generation
    sink: Sink
    claims: ClaimStore
    letters: LetterStore
    logs: dict[str, list[Record]] = field(default_factory=dict)

    def records(self, partition: str, position: int, limit: int) -> list[Record]:
        """The next records of a partition."""
        if partition == REPLAY:
            return [
                Record(
                    sequence,
                    int(letter["value"] or b""),
                    (letter["partition"], letter["offset"], letter["attempt"]),
                )
                for sequence, letter in self.letters.replay_after(position - 1, 1)
            ]
        return [record for record in self.logs[partition] if record.offset >= position][:limit]


@dataclass
class Outcome:
    """What a worker made of some records: what `Fold` is given."""

    upto: int
    replay: LetterId | None
    ledger: Ledger
    result: Result


class Owner:
    """A store and its workers that believe they own a partition; `step` does one operation."""

    def __init__(self, world: World, partition: str, failing: float) -> None:
        self.world, self.partition, self.failing = world, partition, failing
        self.fold: Fold | None = None
        self.outcome: Outcome | None = None
        self.snapshot: Snapshot | None = None
        self.flushed: bool | None = None
        self.upto = 0
        self.idle = False

    def step(self) -> None:
        """Do one operation."""
        if self.fold is None:
            self.open()
            return
        choices: list[Callable[[], None]] = [self.fold.evict]
        choices.append(self.work if self.outcome is None else self.fold_in)
        if self.snapshot is None:
            choices.append(self.take_snapshot)
        else:
            choices.append(self.flush if self.flushed is None else self.conclude)
        self.world.rnd.choice(choices)()

    def open(self) -> None:
        world = self.world
        (checkpoint,) = world.sink.open(world.generation.id, [assigned(self.partition)])
        self.fold = Fold(world.sink, world.generation.id, checkpoint, METRICS, Forgotten())
        self.outcome = self.snapshot = self.flushed = None
        self.upto = checkpoint.upto

    def work(self) -> None:
        """Run the transform on the next records, with one call for claims."""
        assert self.fold
        rnd = self.world.rnd
        records = self.world.records(self.partition, self.fold.position, rnd.randint(1, 5))
        self.idle = not records and self.fold.position == self.upto
        if not records:
            return
        failing = {record for record in records if rnd.random() < self.failing}
        kept = [record for record in records if record not in failing]
        claims: list[Claim] = [(b"%d" % record.event, *record.source[:2]) for record in kept]
        won = self.world.claims.claim(claims)
        counted = [record for record, first in zip(kept, won, strict=True) if first]
        self.outcome = Outcome(
            records[-1].offset + 1,
            records[0].source if self.partition == REPLAY else None,
            Ledger(len(records), len(counted), 0, len(kept) - len(counted), len(failing)),
            self.result(counted, failing),
        )

    def result(self, counted: list[Record], failing: set[Record]) -> Result:
        """What a worker would say of these records, with a row each, in groups and buckets at random."""
        rnd, events = self.world.rnd, METRICS["events"]
        keys = [f"[{rnd.randrange(3)}]" for _ in counted]
        buckets = [rnd.randrange(3) * 60 for _ in counted]
        places = [
            10**record.event for record in counted
        ]  # so that the sum's digits say how often each was counted
        requests = Counter(zip(buckets, keys, strict=True))
        groups = list(dict.fromkeys(keys))
        sums = states(events, list(map(groups.index, keys)), places) if counted else []
        return Result(
            metrics={
                "requests": columns(requests, requests.values()),
                "events": columns([(0, key) for key in groups], map(events.pack, sums)),
            },
            letters=[self.letter(record) for record in failing],
            output=self.output(counted, buckets, keys),
            late=0,
            expired=0,
            without_id=0,
        )

    def output(self, counted: list[Record], buckets: list[int], keys: list[str]) -> bytes | None:
        """An output row for each record, any one of its rows, that tells of its event what was counted."""
        if not counted:
            return None
        rows = {
            (record.source[1], self.world.rnd.randrange(2)): json.dumps([record.event, bucket, key])
            for record, bucket, key in zip(counted, buckets, keys, strict=True)
        }
        return output(rows, partition=counted[0].source[0])

    def letter(self, record: Record) -> Letter:
        partition, offset, attempt = record.source
        attempt += self.partition == REPLAY
        value = b"%d" % record.event
        return dead_letter(offset, partition=partition, attempt=attempt, value=value, length=len(value))

    def fold_in(self) -> None:
        assert self.fold
        assert self.outcome
        outcome, self.outcome = self.outcome, None
        if outcome.replay is None:
            self.fold.fold(outcome.upto, b"", outcome.ledger, outcome.result, size=0)
        else:
            self.fold.fold_replay(outcome.upto, outcome.replay, outcome.ledger, outcome.result, size=0)

    def take_snapshot(self) -> None:
        assert self.fold
        self.snapshot = self.fold.snapshot()

    def flush(self) -> None:
        assert self.snapshot
        (self.flushed,) = self.world.sink.flush(self.world.generation.id, [self.snapshot])

    def conclude(self) -> None:
        assert self.fold
        assert self.snapshot
        if self.flushed:
            self.fold.decided(self.snapshot)
            self.upto = self.snapshot.after.upto
            self.snapshot = self.flushed = None
        else:
            self.fold = None


def play(world: World) -> None:
    """One schedule, to its end."""
    rnd = world.rnd
    owners = [Owner(world, partition, failing=0.2) for partition in PARTITIONS]
    for _ in range(rnd.randint(20, 200)):
        owner, roll = rnd.choice(owners), rnd.random()
        if roll < 0.9:
            owner.step()
        elif roll < 0.94:  # killed, and replaced
            owners[owners.index(owner)] = Owner(world, owner.partition, owner.failing)
        elif roll < 0.97:  # replaced, but goes on: a zombie
            owners.append(Owner(world, owner.partition, owner.failing))
        elif letters := list(world.letters.letters()):
            chosen = to_text(identity(rnd.choice(letters)))
            dead.replay(world.letters, world.sink, world.generation.id, [chosen] * rnd.choice((1, 1, 2)))
    for owner in owners:
        owner.failing = 0  # the transform is mended
    for partition in ("file-0", "file-1", REPLAY, REPLAY):
        if partition == REPLAY:
            everything = [to_text(identity(letter)) for letter in world.letters.letters()]
            dead.replay(world.letters, world.sink, world.generation.id, everything)
        last = Owner(world, partition, failing=0)
        while not last.idle:
            last.step()
            if rnd.random() < 0.2:
                rnd.choice(owners).step()
    for _ in range(30):
        rnd.choice(owners).step()


def total(world: World, name: str) -> int:
    """What a metric comes to over all its rows."""
    value: int = sum(
        answer["value"] for answer in query(world.generation.definition, world.sink, name, by=[])
    )
    return value


class ExactlyOnceContract:
    """`connect(name)` gives a pipeline's sink, claims and letters, where `name` has no generation yet."""

    SCHEDULES = 300

    @pytest.fixture
    def worlds(
        self, connect: Callable[[Generation], tuple[Sink, ClaimStore, LetterStore]]
    ) -> Iterator[World]:
        def worlds() -> Iterator[World]:
            for seed in range(self.SCHEDULES):
                new = generation(*DEFINITIONS, name=f"pipeline-{seed}")
                yield World(random.Random(seed), new, *connect(new))

        return worlds()

    def test_every_event_is_counted_exactly_once(self, worlds: Iterator[World]) -> None:
        for seed, world in enumerate(worlds):
            rnd = world.rnd
            events = range(rnd.randint(4, 18))
            sent = [event for event in events for _ in range(rnd.choice((1, 1, 1, 2, 3)))]
            rnd.shuffle(sent)
            for partition in PARTITIONS[:2]:
                world.logs[partition] = []
            for event in sent:
                partition = rnd.choice(PARTITIONS[:2])
                offset = len(world.logs[partition]) * STRIDE
                world.logs[partition].append(Record(offset, event, (partition, offset, 0)))
            play(world)
            assert str(total(world, "events")) == "1" * len(events), f"seed {seed}"
            assert total(world, "requests") == len(events), f"seed {seed}"
            self.check_output(world, events, f"seed {seed}")
            self.check_ledger(world, records=len(sent), events=len(events))

    def check_output(self, world: World, events: range, seed: str) -> None:
        found = list(world.sink.output_rows(world.generation.id, PARTITIONS))
        places = {
            (partition, record.offset): record.event
            for partition in PARTITIONS[:2]
            for record in world.logs[partition]
        }
        told = [json.loads(row.row) for row in found]
        assert [places[row.partition, row.offset] for row in found] == [event for event, *_ in told], seed
        assert sorted(event for event, *_ in told) == list(events), seed
        requests: Counter[tuple[int, str]] = Counter()
        for bucket, key, count in world.sink.rows(world.generation.id, "requests", None, None):
            requests[bucket, key] += count
        assert Counter((bucket, key) for _, bucket, key in told) == requests, seed

    def check_ledger(self, world: World, records: int, events: int) -> None:
        lines = audit(world.sink, world.generation.pipeline)
        assert all(line["balanced"] for line in lines)
        whole = lines[-1]
        assert (whole["consumed"], whole["counted"], whole["dead"]) == (records, events, 0)
        assert whole["duplicates"] == records - events
