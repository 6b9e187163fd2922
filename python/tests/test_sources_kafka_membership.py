"""What a member of a group makes of the coordinator's answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from comporta.sources.kafka.membership import FENCED, Fenced, StaticCoordinator

UNKNOWN = ""
LOADING = 14


class Member(StaticCoordinator):
    """A member, by its id, whose requests are answered with `code`; `joined` is its id by that time."""

    def __init__(self, member: str, code: int, *, joined: str | None = None) -> None:
        self.member_id, self.generation = member, 5
        self.group_id, self.coordinator_id, self._group_instance_id = "group", 1, "one"
        self.is_fenced = False
        self._on_fenced = self._note
        self._client = SimpleNamespace(send=self._answer)
        self._code = code
        self._joined = member if joined is None else joined

    def _note(self) -> None:
        self.is_fenced = True

    async def _answer(self, node: int, request: Any, group: object) -> Any:
        self.member_id = self._joined
        return SimpleNamespace(error_code=self._code, topics=[("log", [(0, self._code)])])

    def beat(self) -> Any:
        return asyncio.run(self._do_heartbeat())

    def try_to_commit(self) -> None:
        with pytest.raises(Fenced):
            asyncio.run(self.commit({TopicPartition("log", 0): 7}, ""))


def test_another_process_with_its_id_fences_it() -> None:
    beating, committing = Member("m1", FENCED), Member("m1", FENCED)
    assert beating.beat() is False
    committing.try_to_commit()
    assert beating.is_fenced
    assert committing.is_fenced


def test_who_it_was_before_it_joined_again_is_not_another_process() -> None:
    beating, committing = Member("m1", FENCED, joined="m2"), Member("m1", FENCED, joined="m2")
    assert beating.beat() is False
    committing.try_to_commit()
    assert not beating.is_fenced
    assert not committing.is_fenced


def test_who_is_about_to_join_again_is_not_fenced() -> None:
    member = Member(UNKNOWN, FENCED)
    member.try_to_commit()
    assert not member.is_fenced


def test_a_coordinator_that_takes_over_is_asked_again() -> None:
    member = Member("m1", LOADING)
    assert member.beat() is False
    assert member.coordinator_id == 1
