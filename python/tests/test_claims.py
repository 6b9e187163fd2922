from __future__ import annotations

from pathlib import Path

import pytest
from fake_beam import FakeBeam
from redis_servers import server
from steps import definition

from comporta import payloads


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path}/store.db"


def start(url: str, generation: str = "g1") -> FakeBeam:
    beam = FakeBeam("claims", definition().to_json().encode(), claims=url, generation=generation)
    assert beam.receive().kind == "ready"
    return beam


def claim(beam: FakeBeam, id: int, *claims: tuple[bytes, str, int], lost: int = 0) -> bytes:
    beam.send("claim", id, payloads.pack(list(claims)))
    claimed = beam.receive()
    assert (claimed.kind, claimed.header["id"], claimed.header["lost"]) == ("claimed", id, lost)
    return bytes(claimed.payload)


def test_claims_are_answered_with_a_byte_each(url: str) -> None:
    with start(url) as beam:
        assert (
            claim(beam, 1, (b"a", "file-1", 0), (b"b", "file-1", 10), (b"a", "file-2", 0)) == b"\x01\x01\x00"
        )
        assert claim(beam, 2) == b""


def test_claims_outlive_a_kill_at_any_time_and_belong_to_a_generation(url: str) -> None:
    with start(url) as beam:
        claim(beam, 1, (b"a", "file-1", 0))
        beam.kill()
    with start(url) as beam:
        assert claim(beam, 1, (b"a", "file-2", 0), (b"a", "file-1", 0)) == b"\x00\x01"
    with start(url, "g2") as beam:
        assert claim(beam, 1, (b"a", "file-2", 0)) == b"\x01"


def test_a_loss_is_told_with_the_answer_that_shows_it(tmp_path: Path) -> None:
    with server(tmp_path) as redis, start(redis.url) as beam:
        claim(beam, 1, (b"a", "file-1", 0))
        claim(beam, 2, (b"b", "file-1", 10))
        redis.client.flushall()
        assert claim(beam, 3, (b"a", "file-2", 0), lost=1) == b"\x01"
        assert claim(beam, 4, (b"a", "file-2", 0)) == b"\x01"


def test_it_ends_with_its_connection(url: str) -> None:
    with start(url) as beam:
        beam.disconnect()
        assert beam.process.wait(10) == 0


def test_a_file_that_is_no_store_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database" * 100)
    with FakeBeam(
        "claims", definition().to_json().encode(), claims=f"sqlite:{tmp_path}/store.db", generation="g"
    ) as beam:
        refused = beam.receive()
        assert refused.kind == "refused"
        assert b"not a database" in refused.header["reason"]
        assert beam.ends() == 1
