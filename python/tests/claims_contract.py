"""What every claim store must do: its test module subclasses `ClaimsContract` and provides `connect`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from comporta.dedup import ClaimStore

Connect = Callable[[str, float], ClaimStore]
DAY = 86_400.0


class ClaimsContract:
    """`connect(generation, within)` opens the same store again at each call, as another owner would."""

    @pytest.fixture
    def claims(self, connect: Connect) -> ClaimStore:
        return connect("generation-1", DAY)

    def test_the_first_position_has_the_claim_however_often_it_asks(self, claims: ClaimStore) -> None:
        for _ in range(3):
            assert claims.claim([(b"a", "file-1", 10)]) == b"\x01"

    @pytest.mark.parametrize("other", [("file-1", 11), ("file-2", 10)])
    def test_another_position_is_a_duplicate(self, claims: ClaimStore, other: tuple[str, int]) -> None:
        claims.claim([(b"a", "file-1", 10)])
        assert claims.claim([(b"a", *other)]) == b"\x00"
        assert claims.claim([(b"a", "file-1", 10)]) == b"\x01"
        assert claims.claim([(b"a", *other)]) == b"\x00"

    def test_repeats_within_a_call_are_decided_in_its_order(self, claims: ClaimStore) -> None:
        pack = [(b"a", "file-1", 10), (b"b", "file-1", 20), (b"a", "file-1", 30), (b"a", "file-1", 10)]
        assert claims.claim(pack) == b"\x01\x01\x00\x01"

    def test_no_claims_have_no_answers(self, claims: ClaimStore) -> None:
        assert claims.claim([]) == b""

    def test_claims_outlive_whoever_made_them(self, connect: Connect) -> None:
        connect("generation-1", DAY).claim([(b"a", "file-1", 10)])
        assert connect("generation-1", DAY).claim([(b"a", "file-1", 20), (b"a", "file-1", 10)]) == b"\x00\x01"

    def test_generations_have_claims_of_their_own(self, connect: Connect) -> None:
        connect("generation-1", DAY).claim([(b"a", "file-1", 10)])
        assert connect("generation-2", DAY).claim([(b"a", "file-1", 20)]) == b"\x01"

    def test_ids_may_be_any_bytes_of_any_length(self, claims: ClaimStore) -> None:
        ids = [b"", b"\x00", b"\x00\x00", b"\xff" * 15, b"\xff" * 16, b"\xff" * 17, b"x" * 70_000, b"A", b"a"]
        first = [(event, "file-1", number) for number, event in enumerate(ids)]
        again = [(event, "file-2", number) for number, event in enumerate(ids)]
        assert claims.claim(first) == b"\x01" * len(ids)
        assert claims.claim(again) == b"\x00" * len(ids)
        assert claims.claim(first) == b"\x01" * len(ids)

    def test_a_claim_ends_with_its_window_counted_from_when_it_was_made(self, connect: Connect) -> None:
        claims = connect("generation-1", 1)
        claims.claim([(b"a", "file-1", 10)])
        deadline = time.monotonic() + 10
        while claims.claim([(b"a", "file-1", 20)]) == b"\x00":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert claims.claim([(b"a", "file-1", 10)]) == b"\x00"
        assert claims.claim([(b"a", "file-1", 20)]) == b"\x01"

    def test_one_of_those_who_ask_at_once_is_first(self, connect: Connect) -> None:
        ids = [b"%d" % number for number in range(300)]
        answers: dict[int, bytes] = {}
        stores = [connect("generation-1", DAY) for _ in range(4)]

        def ask(asker: int) -> None:
            claims = [(event, f"file-{asker}", 0) for event in ids]
            packs = [claims[start : start + 10] for start in range(0, len(claims), 10)]
            random.Random(asker).shuffle(packs)
            heard = {
                claim[0]: won
                for pack in packs
                for claim, won in zip(pack, stores[asker].claim(pack), strict=True)
            }
            answers[asker] = bytes(heard[event] for event in ids)

        threads = [threading.Thread(target=ask, args=[asker]) for asker in range(len(stores))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [sum(heard) for heard in zip(*answers.values(), strict=True)] == [1] * len(ids)
