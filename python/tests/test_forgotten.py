from __future__ import annotations

from comporta.forgotten import Forgotten

KEYS = [f'["/articles/{number}"]' for number in range(20_000)]


def test_what_is_in_it_is_always_found() -> None:
    forgotten = Forgotten()
    assert forgotten.among("a", set(KEYS)) == set()
    forgotten.add("a", KEYS[::2])
    assert forgotten.among("a", set(KEYS)) >= set(KEYS[::2])
    forgotten.add("a", KEYS[1::2])
    assert forgotten.among("a", set(KEYS)) == set(KEYS)


def test_little_else_is_found() -> None:
    forgotten = Forgotten()
    forgotten.add("a", KEYS[::2])
    assert len(forgotten.among("a", set(KEYS[1::2]))) < 100
    assert len(forgotten.among("b", set(KEYS))) < 100
