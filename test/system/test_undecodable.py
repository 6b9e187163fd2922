"""Record batches that brokers take and workers cannot decode: their records become letters, others count."""

from __future__ import annotations

from conftest import Workplace
from kafka_topics import Topic
from real_services import RealServices
from record_batches import bomb, record_batch, rows

PIPELINE = """
import comporta as c
pipeline = c.Pipeline("sums", metrics=[c.count("lines"), c.sum("numbers", of="number")])
@pipeline.transform
def parse(line):
    return {"number": int(line)}
"""
BEFORE, AFTER = range(500), range(500, 1_000)


def test_what_cannot_be_decoded_or_kills_as_it_is_decoded_costs_its_own_records_only(
    services: RealServices, workplace: Workplace
) -> None:
    Topic.server = services.kafka
    topic = Topic()
    topic.send([b"%d" % number for number in BEFORE], compression_type="lz4", linger_ms=100)
    assert topic.produce(bomb(3, 100)) == 0
    # No broker takes damaged content, but none looks at the offsets that records say they have.
    assert topic.produce(record_batch(0, rows(b"1", b"2"), offsets=[0, 7], last=1)) == 0
    topic.send([b"%d" % number for number in AFTER], linger_ms=100)
    file = workplace.write("sums.py", PIPELINE)
    run = ("run", file, "--source", topic.url, "--workers", "2", "--until-end")
    workplace.run(*run, "--worker-memory", "250MiB")
    assert workplace.counts(file, "lines") == {(): 1_000}
    assert workplace.counts(file, "numbers") == {(): sum(range(1_000))}
    ledger = workplace.ledger(file, "--source", topic.url)
    assert (ledger["consumed"], ledger["counted"], ledger["dead"]) == (1_005, 1_000, 5)

    letters = workplace.letters(file, "--source", topic.url)
    assert [letter["offset"] for letter in letters] == list(range(500, 505))
    assert {(letter["reason"], letter["length"]) for letter in letters} == {("undecodable", -1)}
    for letter in letters[:3]:
        assert "decoding it kills workers; the last one was killed: it used" in letter["error"]
    for letter in letters[3:]:
        assert "the record batch at offset 503 cannot be decoded" in letter["error"]
    done = workplace.run("dead", "replay", file, "--all", "--source", topic.url)
    assert done.stdout.startswith("0 to be replayed")
    done = workplace.run("dead", "replay", file, letters[3]["id"], "--source", topic.url, status=2)
    assert "its record was never decoded" in done.stderr
