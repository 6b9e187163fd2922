"""Work on several partitions at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

AT_ONCE = 8

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def at_once(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """What `work` makes of each item, in order, some of them at once; raised is the first error, at the end.

    Its threads do not keep a process alive, as those of `concurrent.futures` do: they may be waiting for a
    cluster that is away.
    """
    items = list(items)
    if len(items) == 1:
        return [work(items[0])]
    waiting: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    for numbered in enumerate(items):
        waiting.put(numbered)
    answers: dict[int, Answer] = {}
    errors: dict[int, BaseException] = {}

    def run() -> None:
        while True:
            try:
                number, item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                answers[number] = work(item)
            except BaseException as error:
                errors[number] = error

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(AT_ONCE, len(items)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[min(errors)]
    return [answers[number] for number in range(len(items))]
