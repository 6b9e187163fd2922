from __future__ import annotations

from comporta.forgotten import Forgotten

KEYS = [f'["/articles/{number}"]' for number in range(20_000)]


def test_what_is_in_it_is_always_found() -> None:
    forgotten = Forgotten()
    assert list(forgotten.among("a", KEYS)) == []
    forgotten.add("a", KEYS[::2])
    assert set(forgotten.among("a", KEYS)) >= set(KEYS[::2])
    forgotten.add("a", KEYS[1::2])
    assert list(forgotten.among("a", KEYS)) == KEYS


def test_little_else_is_found() -> None:
    forgotten = Forgotten()
    forgotten.add("a", KEYS[::2])
    assert len(forgotten.among("a", KEYS[1::2])) < 100
    assert len(forgotten.among("b", KEYS)) < 100
