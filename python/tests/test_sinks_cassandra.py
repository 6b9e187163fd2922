from __future__ import annotations

import json
import logging
import random
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cassandra.query import SimpleStatement
from cassandra_proxy import Proxy, Refusing
from exactly_once_contract import ExactlyOnceContract
from real_services import RealServices
from sink_contract import Connect, SinkContract
from steps import assigned, definition, generation, letter, metric, output, step

from comporta import addresses
from comporta.dedup import ClaimStore, open_claims
from comporta.errors import StoreError, SupersededError, UsageError
from comporta.generations import Generation
from comporta.kept import LONGEST_ROW
from comporta.letters import LetterId, LetterStore, LetterWriter, identity
from comporta.payloads import Letter
from comporta.sinks import Checkpoint, Ledger, Sink, open_sink
from comporta.sinks.cassandra import CassandraSink, init
from comporta.sinks.cassandra.schema import LATER
from comporta.sinks.cassandra.session import Session


@pytest.fixture(scope="session")
def server(services: RealServices) -> str:
    return services.cassandra


@pytest.fixture(scope="session")
def keyspace(server: str) -> Iterator[str]:
    """The URL of a keyspace for this run of the tests; generations of random ids share it."""
    url = f"cassandra://{server}/test_{secrets.token_hex(8)}"
    init(url)
    yield url
    drop(url)


@pytest.fixture
def other_keyspace(server: str) -> Iterator[str]:
    """The URL of a keyspace that is not there yet."""
    url = f"cassandra://{server}/test_{secrets.token_hex(8)}"
    yield url
    drop(url)


def drop(url: str) -> None:
    run(url, f"DROP KEYSPACE IF EXISTS {addresses.cassandra(url).keyspace}")


def run(url: str, *statements: str) -> list[Any]:
    """Run statements as somebody with cqlsh would; the rows of the last one."""
    session = Session(addresses.cassandra(url))
    try:
        return [session.execute(SimpleStatement(statement)) for statement in statements][-1]
    finally:
        session.close()


class LettersInMemory(LetterStore, LetterWriter):
    """The letters of one generation; a topic of Kafka's would hold them."""

    def __init__(self) -> None:
        self._letters: dict[LetterId, Letter] = {}
        self._log: list[Letter] = []

    def write(self, generation: str, letters: Sequence[Letter]) -> None:
        self._letters.update({identity(letter): letter for letter in letters})

    def letters(self) -> Iterator[Letter]:
        return iter([self._letters[key] for key in sorted(self._letters)])

    def find(self, identity: LetterId) -> Letter | None:
        return self._letters.get(identity)

    def replay(self, identities: Sequence[LetterId]) -> None:
        self._log += [self._letters[identity] for identity in identities]

    def replay_after(self, sequence: int, limit: int) -> list[tuple[int, Letter]]:
        return [entry for entry in enumerate(self._log, 1) if entry[0] > sequence][:limit]


class Crash(Exception):
    """What is raised where a process would have been killed."""


class Crashing(LetterWriter):
    """A process that is killed after the comparison, before anything of the flush can be seen."""

    def write(self, generation: str, letters: Sequence[Letter]) -> None:
        raise Crash


@pytest.fixture
def connect(keyspace: str) -> Iterator[Callable[..., CassandraSink]]:
    """Open the keyspace, which has no generation at first; of other tests it has rows under other ids."""
    name = addresses.cassandra(keyspace).keyspace
    run(keyspace, f"DELETE FROM {name}.generations WHERE pipeline IN ('access-log', 'other')")
    sinks: list[CassandraSink] = []
    in_memory = LettersInMemory()

    def connect(letters: LetterWriter | None = in_memory, url: str = keyspace) -> CassandraSink:
        sinks.append(CassandraSink(url, letters))
        return sinks[-1]

    yield connect
    for sink in sinks:
        sink.close()


class TestCassandraSink(SinkContract):
    @pytest.fixture
    def connect(self, connect: Connect) -> Connect:
        return connect

    def test_rows_of_old_buckets_expire(self, sink: Sink, keyspace: str) -> None:
        """By themselves: they are written with the time that is left to them, or not at all."""
        now = int(time.time()) // 60 * 60
        kept = replace(definition(metric("requests", every=60), metric("bytes")), retention=86400)
        current = Generation("access-log", kept)
        assert sink.install(current, instead_of=None)
        (one,) = sink.open(current.id, [assigned("file-1")])
        rows = {"requests": {(now - 2 * 86400, "[]"): 1, (now, "[]"): 2}, "bytes": {(0, "[]"): 3}}
        assert sink.flush(current.id, [step(one, 5, rows)]) == [True]
        assert list(sink.rows(current.id, "requests", None, None)) == [(now, "[]", 2)]
        assert list(sink.rows(current.id, "bytes", None, None)) == [(0, "[]", 3)]
        (row,) = run(
            keyspace,
            f"SELECT TTL(number) FROM {addresses.cassandra(keyspace).keyspace}.metrics"
            f" WHERE generation = '{current.id}' AND metric = 'requests' AND partition = 'file-1'"
            f" AND span = {now // 3600 * 3_600_000}",
        )
        assert 86400 < row[0] <= 86400 + 2 * 3600

    def test_old_output_rows_expire(self, sink: Sink, keyspace: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """By themselves, too; a slice is listed as long as any of its rows is kept, whoever lists it last."""
        listed: list[Sequence[Any]] = []
        bind = Session.bind

        def recording(self: Session, query: str, *values: Any, **options: Any) -> Any:
            listed.extend([values] if "INTO output_slices" in query else [])
            return bind(self, query, *values, **options)

        monkeypatch.setattr(Session, "bind", recording)
        now = int(time.time())
        current = Generation("access-log", replace(definition(), retention=86400))
        assert sink.install(current, instead_of=None)
        one, replay = sink.open(current.id, [assigned("file-1"), assigned("replay")])
        day = output({(3, 0): "[3]", (4, 0): "[4]", (12_000, 0): "[5]"}, times=[now, now - 99_000, now])
        assert sink.flush(current.id, [step(one, 50_000, output=[day])]) == [True]
        newer, never = output({(5, 0): "[6]"}, times=[now + 86400]), output({(12_001, 0): "[7]"})
        older = output({(6, 0): "[8]"}, times=[now - 3600])
        assert sink.flush(current.id, [step(replay, 1, output=[newer, older, never])]) == [True]
        found = sink.output_rows(current.id, ["file-1"])
        assert [row.row for row in found] == ["[3]", "[6]", "[8]", "[5]", "[7]"]
        place = f"WHERE generation = '{current.id}' AND partition = 'file-1'"
        name = addresses.cassandra(keyspace).keyspace
        kept = run(keyspace, f"SELECT TTL(row) FROM {name}.output_rows {place} AND slice IN (0, 1)")
        ages = [None if row[0] is None else round((row[0] - 86400) / 3600) for row in kept]
        assert ages == [1, 25, 0, 1, None]
        *others, last = listed
        full_hours = [-(-(now + seconds) // 3600) * 3600 for seconds in (90_000, 176_400)]
        assert sorted((slice, end) for _, _, slice, end, _ in others) == [
            *[(0, end) for end in full_hours],
            (1, full_hours[0]),
        ]
        assert all(0 <= end - now - ttl <= 60 for *_, end, ttl in others)
        assert last == (current.id, "file-1", 1, 2**31, 0)

    def test_numbers_can_be_read_by_anybody(
        self, sink: Sink, current: Generation, opened: Checkpoint, keyspace: str
    ) -> None:
        huge = f"{2**70:x}"
        states = {"a": 3, "b": [5, 1], "c": [-7, 0, 2], "d": [huge, 0], "e": 2.5, "f": [1, 2, 3, 4]}
        rows = {(60, key): state for key, state in states.items()}
        sink.flush(current.id, [step(opened, 5, {"bytes": rows})])
        found = run(
            keyspace,
            "SELECT key, form, number, scale, count, real"
            f" FROM {addresses.cassandra(keyspace).keyspace}.metrics"
            f" WHERE generation = '{current.id}' AND metric = 'bytes' AND partition = 'file-1' AND span = 0",
        )
        assert [tuple(row) for row in found] == [
            ("a", "int", 3, None, None, None),
            ("b", "sum", 5, 1, None, None),
            ("c", "mean", -7, 0, 2, None),
            ("d", "sum", 2**70, 0, None, None),
            ("e", "float", None, None, None, 2.5),
            ("f", "state", None, None, None, None),
        ]
        assert sink.read(current.id, "file-1", "bytes", list(rows)) == rows

    def test_a_row_may_change_its_form(self, sink: Sink, current: Generation, opened: Checkpoint) -> None:
        before = opened
        for number, state in enumerate([3, 2.5, [1, 0], b"sketch", 2, -1.5, [1, 0, 1], "text"]):
            snapshot = step(before, number + 1, {"requests": {(60, "[]"): state}})
            assert sink.flush(current.id, [snapshot]) == [True]
            assert sink.read(current.id, "file-1", "requests", [(60, "[]")]) == {(60, "[]"): state}
            before = snapshot.after


class TestExactlyOnceOnCassandra(ExactlyOnceContract):
    SCHEDULES = 60

    @pytest.fixture
    def connect(
        self, keyspace: str, tmp_path: Path
    ) -> Iterator[Callable[[Generation], tuple[Sink, ClaimStore, LetterStore]]]:
        claims = f"sqlite:{tmp_path}/claims.db"
        open_sink(claims, create=True)
        letters_of: dict[str, LettersInMemory] = {}

        class Letters(LetterWriter):
            def write(self, generation: str, letters: Sequence[Letter]) -> None:
                letters_of[generation].write(generation, letters)

        sink = CassandraSink(keyspace, Letters())

        def connect(new: Generation) -> tuple[Sink, ClaimStore, LetterStore]:
            assert sink.install(new, instead_of=None)
            letters = letters_of[new.id] = LettersInMemory()
            return sink, open_claims(claims, new.id, 3600), letters

        yield connect
        sink.close()


class TestDecidedAndNotApplied:
    """What an owner left that died between the comparison and its effects."""

    @pytest.fixture
    def current(self, connect: Callable[..., CassandraSink]) -> Generation:
        new = generation()
        assert connect().install(new, instead_of=None)
        return new

    @pytest.fixture
    def snapshot(self, connect: Callable[..., CassandraSink], current: Generation) -> Any:
        dying = connect(Crashing())
        (start,) = dying.open(current.id, [assigned("file-1")])
        rows = {"requests": {(0, '["200"]'): 3, (60, '["200"]'): 4}, "bytes": {(0, "[]"): [5, 0]}}
        whole = letter(3, headers=[("trace", None), ("trace", b"\xff")], key=b"k")
        kept = [output({(4, 0): "[4]"}), output({(20_000, 1): "[5]"})]
        snapshot = step(start, 40, rows, letters=[whole], replayed=[("file-1", 3, 0)], output=kept)
        with pytest.raises(Crash):
            dying.flush(current.id, [snapshot])
        return snapshot

    def test_the_next_owner_applies_it(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any
    ) -> None:
        letters = LettersInMemory()
        sink = connect(letters)
        assert sink.open(current.id, [assigned("file-1")]) == [snapshot.after]
        assert list(letters.letters()) == snapshot.letters
        assert list(sink.rows(current.id, "requests", None, None)) == [(0, '["200"]', 3), (60, '["200"]', 4)]
        assert sink.read(current.id, "file-1", "bytes", [(0, "[]")]) == {(0, "[]"): [5, 0]}
        assert sink.was_replayed(current.id, [("file-1", 3, 0)]) == {("file-1", 3, 0)}
        self.check_output(sink, current)

    def check_output(self, sink: CassandraSink, current: Generation) -> None:
        found = sink.output_rows(current.id, ["file-1"])
        assert list(found) == [("file-1", 4, 0, "[4]"), ("file-1", 20_000, 1, "[5]")]

    def test_so_does_a_reader_of_output_rows(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any
    ) -> None:
        self.check_output(connect(None), current)

    def test_so_does_a_reader(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any
    ) -> None:
        letters = LettersInMemory()
        found = connect(letters).rows(current.id, "requests", 60, None)
        assert list(found) == [(60, '["200"]', 4)]
        assert list(letters.letters()) == snapshot.letters

    def test_a_reader_that_cannot_write_letters_leaves_them_to_the_next_owner(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any
    ) -> None:
        assert list(connect(None).rows(current.id, "requests", 60, None)) == [(60, '["200"]', 4)]
        with pytest.raises(StoreError, match=r"dead letters to write, .* with --dead"):
            connect(None).open(current.id, [assigned("file-1")])
        letters = LettersInMemory()
        assert connect(letters).open(current.id, [assigned("file-1")]) == [snapshot.after]
        assert list(letters.letters()) == snapshot.letters

    def test_and_so_does_an_audit(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any
    ) -> None:
        letters = LettersInMemory()
        assert connect(letters).checkpoints(current.id) == [snapshot.after]
        assert list(letters.letters()) == snapshot.letters

    def test_the_owner_that_goes_on_after_all_does_no_harm(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any
    ) -> None:
        sink = connect()
        (checkpoint,) = sink.open(current.id, [assigned("file-1")])
        newer = step(checkpoint, 50, {"requests": {(0, '["200"]'): 9}})
        assert sink.flush(current.id, [newer]) == [True]
        assert connect().flush(current.id, [snapshot]) == [False]
        assert sink.checkpoints(current.id) == [newer.after]
        assert sink.read(current.id, "file-1", "requests", [(0, '["200"]')]) == {(0, '["200"]'): 9}

    def test_what_is_lost_of_it_is_said(
        self, connect: Callable[..., CassandraSink], current: Generation, snapshot: Any, keyspace: str
    ) -> None:
        run(keyspace, f"TRUNCATE {addresses.cassandra(keyspace).keyspace}.redo")
        with pytest.raises(StoreError, match=r"1 of 1 parts are lost .* `comporta reset`"):
            connect().open(current.id, [assigned("file-1")])


class TestSuperseded:
    """A reset that comes while a flush is under way, whose redo is written beside the question for it."""

    @pytest.fixture
    def flushing(
        self, connect: Callable[..., CassandraSink], monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[Callable[[CassandraSink, Generation], None]], Any]:
        """Flush two partitions, of which something happens just before the generation is asked for."""

        def flushing(happens: Callable[[CassandraSink, Generation], None]) -> Any:
            sink, current = connect(), generation()
            assert sink.install(current, instead_of=None)
            one, two = sink.open(current.id, [assigned("file-1"), assigned("file-2")])
            begin = Session.begin

            def reset_first(self: Session, statement: Any) -> Any:
                happens(connect(), current)
                return begin(self, statement)

            monkeypatch.setattr(Session, "begin", reset_first)
            rows = {"requests": {(0, "[]"): 1}}
            with pytest.raises(SupersededError, match="reset"):
                sink.flush(current.id, [step(one, 10, rows), step(two, 10, rows)])
            return current, [one, two]

        return flushing

    def left(self, keyspace: str, table: str, current: Generation) -> list[Any]:
        name = addresses.cassandra(keyspace).keyspace
        return [row for row in run(keyspace, f"SELECT * FROM {name}.{table}") if row.generation == current.id]

    def test_nothing_takes_effect_and_no_redo_is_left(
        self, connect: Callable[..., CassandraSink], flushing: Any, keyspace: str
    ) -> None:
        def reset(other: CassandraSink, current: Generation) -> None:
            assert other.install(generation(), instead_of=current.id)

        current, opened = flushing(reset)
        assert connect().checkpoints(current.id) == opened
        assert self.left(keyspace, "redo", current) == self.left(keyspace, "metrics", current) == []

    def test_nor_is_anything_of_a_generation_that_is_deleted_by_then(
        self, flushing: Any, keyspace: str
    ) -> None:
        def reset(other: CassandraSink, current: Generation) -> None:
            assert other.install(generation(), instead_of=current.id)
            other.forget("access-log")

        current, _ = flushing(reset)
        for table in ("redo", "metrics", "checkpoints", "partitions"):
            assert self.left(keyspace, table, current) == []

    def test_a_flush_of_nothing_sees_it_too(self, connect: Callable[..., CassandraSink]) -> None:
        sink, current = connect(), generation()
        assert sink.install(current, instead_of=None)
        assert sink.flush(current.id, []) == []
        assert connect().install(generation(), instead_of=current.id)
        with pytest.raises(SupersededError, match="reset"):
            sink.flush(current.id, [])


class TestLargeThings:
    def test_what_is_decided_can_be_applied(
        self, connect: Callable[..., CassandraSink], keyspace: str
    ) -> None:
        """Rows as large as `top` makes them, in pages; letters beyond what a request may hold."""
        current = generation(metric("pages", "top", of="path", k=10))
        sink = connect()
        assert sink.install(current, instead_of=None)
        (start,) = sink.open(current.id, [assigned("file-1")])
        rnd = random.Random(1)
        states = {(3600 * (row % 2), f"[{row}]"): rnd.randbytes(100_000) for row in range(250)}
        states[3600, "[-1]"] = rnd.randbytes(12_700_000)
        huge = letter(3, headers=[("h", rnd.randbytes(9_000_000))] * 2, value=rnd.randbytes(1 << 20))
        rows = {(offset, 0): rnd.randbytes(LONGEST_ROW // 2).hex() for offset in range(30)}
        snapshot = step(start, 10, {"pages": states}, letters=[huge], output=[output(rows)])
        with pytest.raises(Crash):
            connect(Crashing()).flush(current.id, [snapshot])
        letters = LettersInMemory()
        other = connect(letters)
        assert other.open(current.id, [assigned("file-1")]) == [snapshot.after]
        assert list(letters.letters()) == [huge]
        found = other.rows(current.id, "pages", None, None)
        assert {(bucket, key): state for bucket, key, state in found} == states
        assert other.read(current.id, "file-1", "pages", list(states)) == states
        assert [row.row for row in other.output_rows(current.id, ["file-1"])] == list(rows.values())

    def test_many_rows_of_one_bucket(self, connect: Callable[..., CassandraSink]) -> None:
        current = generation()
        sink = connect()
        assert sink.install(current, instead_of=None)
        partitions = sink.open(current.id, [assigned(f"access/{number}") for number in range(10)])
        rows = {(60, f"[{row}]"): row for row in range(5000)}
        snapshots = [step(start, 10, {"requests": rows}) for start in partitions]
        assert sink.flush(current.id, snapshots) == [True] * 10
        found = [(bucket, key, count) for (bucket, key), count in rows.items()] * 10
        assert sorted(sink.rows(current.id, "requests", None, None)) == sorted(found)
        assert sink.read(current.id, "access/7", "requests", list(rows)) == rows


class TestBadDays:
    """Requests whose outcome nobody knows, and requests that arrive when nobody expects them any more."""

    @pytest.mark.parametrize("seed", range(2))
    def test_every_flush_takes_effect_once(
        self, connect: Callable[..., CassandraSink], keyspace: str, server: str, seed: int
    ) -> None:
        rnd = random.Random(seed)
        host, _, port = server.partition(":")
        proxy = Proxy((host, int(port)), rnd)
        name = addresses.cassandra(keyspace).keyspace
        current = generation()
        assert connect().install(current, instead_of=None)
        url = f"cassandra://{proxy.address}/{name}"
        totals = {f"[{key}]": 0 for key in range(5)}
        sink = connect(url=url)
        (checkpoint,) = sink.open(current.id, [assigned("file-1")])
        proxy.lost = proxy.late = 0.06
        steps = 0
        while proxy.cuts < 12 or steps < 15:
            steps += 1
            changed = rnd.sample(sorted(totals), 2)
            totals.update({key: totals[key] + 1 for key in changed})
            rows = {"requests": {(0, key): totals[key] for key in changed}}
            kept = output({(steps * 10, 0): json.dumps(changed)})
            snapshot = step(checkpoint, steps * 10, rows, output=[kept])
            assert sink.flush(current.id, [snapshot]) == [True]
            checkpoint = snapshot.after
            if rnd.random() < 0.3:
                proxy.deliver()
            if rnd.random() < 0.1:
                assert sink.open(current.id, [assigned("file-1")]) == [checkpoint]
        proxy.lost = proxy.late = 0.0
        proxy.deliver()
        time.sleep(0.2)  # what was delivered has no answer to wait for
        reader = connect()
        assert reader.checkpoints(current.id) == [checkpoint]
        assert checkpoint.ledger == Ledger(consumed=steps, counted=steps)
        found = {key: count for _, key, count in reader.rows(current.id, "requests", None, None)}
        assert found == {key: count for key, count in totals.items() if count}
        told = [json.loads(row.row) for row in reader.output_rows(current.id, ["file-1"])]
        assert len(told) == steps
        assert Counter(key for keys in told for key in keys) == found
        proxy.close()

    def test_a_cluster_that_is_away_is_waited_for(
        self, connect: Callable[..., CassandraSink], server: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with caplog.at_level(logging.WARNING):
            address = addresses.cassandra(f"cassandra://127.0.0.1:{port}/any")
            thread = threading.Thread(target=lambda: Session(address).close(), daemon=True)
            thread.start()
            while "waiting for" not in caplog.text:
                time.sleep(0.01)
        assert thread.is_alive()
        assert f"waiting for cassandra://127.0.0.1:{port}/any: 127.0.0.1:{port}: " in caplog.text
        node = server.partition(":")
        proxy = Proxy((node[0], int(node[2])), random.Random(0), port)
        thread.join()
        proxy.close()

    def test_so_is_one_whose_name_has_no_address(self, caplog: pytest.LogCaptureFixture) -> None:
        address = addresses.cassandra("cassandra://nowhere.invalid/any")
        threading.Thread(target=Session, args=[address], daemon=True).start()  # it may be given one yet
        while "no address is known for that name: is it right?" not in caplog.text:
            time.sleep(0.01)
        assert "waiting for cassandra://nowhere.invalid:9042/any: " in caplog.text


class TestInit:
    def test_everything_is_made_once(self, other_keyspace: str) -> None:
        assert init(other_keyspace, 1).endswith(": made")
        assert init(other_keyspace, 1).endswith(": everything is there")
        assert init(other_keyspace).endswith(": everything is there")
        sink = CassandraSink(other_keyspace, None)
        assert sink.current("access-log") is None
        sink.close()

    def test_another_replication_is_not_what_is_there(self, other_keyspace: str) -> None:
        init(other_keyspace, 1)
        with pytest.raises(StoreError, match=r"exists with the replication .*, not 2; leave the option out"):
            init(other_keyspace, 2)

    def test_a_keyspace_that_is_missing(self, other_keyspace: str) -> None:
        with pytest.raises(
            StoreError, match=r"does not exist; make them with `comporta init FILE.py --store c"
        ):
            CassandraSink(other_keyspace, None)

    def test_tables_of_somebody_else(self, other_keyspace: str) -> None:
        name = addresses.cassandra(other_keyspace).keyspace
        run(
            other_keyspace,
            f"CREATE KEYSPACE {name} WITH replication ="
            " {'class': 'SimpleStrategy', 'replication_factor': 1}",
            f"CREATE TABLE {name}.metrics (id int PRIMARY KEY, count int)",
        )
        with pytest.raises(StoreError, match="holds no tables of Comporta's"):
            CassandraSink(other_keyspace, None)
        with pytest.raises(StoreError, match="the table metrics there is not Comporta's, for it has no b"):
            init(other_keyspace)

    def test_tables_of_another_version(self, other_keyspace: str) -> None:
        init(other_keyspace)
        name = addresses.cassandra(other_keyspace).keyspace
        run(other_keyspace, f"UPDATE {name}.schema_version SET version = 99 WHERE part = 'tables'")
        for attempt in (init, lambda url: CassandraSink(url, None)):
            with pytest.raises(StoreError, match="tables are of version 99, and this Comporta knows version"):
                attempt(other_keyspace)

    def test_an_init_that_did_not_end(self, other_keyspace: str) -> None:
        init(other_keyspace)
        name = addresses.cassandra(other_keyspace).keyspace
        run(other_keyspace, f"DROP TABLE {name}.spans", f"TRUNCATE {name}.schema_version")
        with pytest.raises(StoreError, match=r"not complete; make them with `comporta init"):
            CassandraSink(other_keyspace, None)
        assert init(other_keyspace).endswith(": made")
        CassandraSink(other_keyspace, None).close()

    def test_a_keyspace_that_was_made_before_there_were_output_rows(self, other_keyspace: str) -> None:
        init(other_keyspace)
        name = addresses.cassandra(other_keyspace).keyspace
        run(other_keyspace, *(f"DROP TABLE {name}.{table}" for table in LATER))
        old, keeping = generation(), Generation("access-log", definition(rows=["path"]))
        sink = CassandraSink(other_keyspace, None)
        assert sink.install(old, instead_of=None)
        (start,) = sink.open(old.id, [assigned("file-1")])
        assert sink.flush(old.id, [step(start, 10, {"requests": {(0, "[]"): 1}})]) == [True]
        assert list(sink.output_rows(old.id, ["file-1"])) == []
        refusing: list[Callable[[], object]] = [
            lambda: sink.redefine(replace(old, definition=keeping.definition)),
            lambda: sink.install(keeping, instead_of=old.id),
        ]
        for attempt in refusing:
            with pytest.raises(StoreError, match=r"before pipelines could keep rows; add .* `comporta init"):
                attempt()
        sink.close()
        assert init(other_keyspace).endswith(": made")
        sink = CassandraSink(other_keyspace, None)
        assert sink.install(keeping, instead_of=old.id)
        sink.forget("access-log")
        sink.close()


class TestRefusals:
    def test_a_wrong_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPORTA_CASSANDRA_USERNAME", "me")
        monkeypatch.setenv("COMPORTA_CASSANDRA_PASSWORD", "hidden")
        node = Refusing()
        with pytest.raises(StoreError, match=r"refuses this user or password.*_PASSWORD_FILE") as raised:
            CassandraSink(f"cassandra://{node.address}/any", None)
        assert "hidden" not in str(raised.value)
        assert "\n" not in str(raised.value)
        node.close()

    def test_a_consistency_that_is_not_safe(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COMPORTA_CASSANDRA_CONSISTENCY", "ONE")
        with pytest.raises(UsageError, match="COMPORTA_CASSANDRA_CONSISTENCY is 'ONE', with which results"):
            CassandraSink("cassandra://127.0.0.1/any", None)

    def test_a_generation_of_one_data_centre_is_for_that_one(
        self, connect: Callable[..., CassandraSink], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMPORTA_CASSANDRA_CONSISTENCY", "LOCAL_QUORUM")
        local, current = connect(), generation()
        assert local.install(current, instead_of=None)
        (start,) = local.open(current.id, [assigned("file-1")])
        assert local.flush(current.id, [step(start, 10, {"requests": {(0, "[]"): 1}})]) == [True]
        monkeypatch.delenv("COMPORTA_CASSANDRA_CONSISTENCY")
        everywhere = connect()
        assert everywhere.current("access-log") is not None
        for attempt in (
            lambda: everywhere.open(current.id, [assigned("file-1")]),
            lambda: everywhere.rows(current.id, "requests", None, None),
        ):
            with pytest.raises(StoreError, match="begun with LOCAL_QUORUM in the data centre datacenter1"):
                attempt()
