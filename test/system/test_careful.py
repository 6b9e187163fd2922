"""A record that kills its worker is named by a careful attempt; where none can name it, halving finds it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import Workplace
from test_faults import HEAD, pipeline, run


def deaths(answer: subprocess.CompletedProcess[str]) -> int:
    return answer.stderr.count("while it worked on")


def succeeded_once(workplace: Workplace, body: str, head: str = HEAD) -> Path:
    """A pipeline that has counted a line, and has 1,000 more to read.

    Until something has succeeded, there are no careful attempts.
    """
    file = pipeline(workplace, body, head=head)
    workplace.write("a.log", "5000\n")
    run(workplace, file)
    with (workplace.folder / "a.log").open("a") as log:
        log.writelines(f"{n}\n" for n in range(1000))
    return file


@pytest.mark.parametrize(
    ("poison", "guilty"),
    [
        ("ctypes.string_at(0)", (617,)),
        ("while True: pass", (617,)),
        ("x = bytearray(400 << 20); x[::4096] = b'x' * len(x[::4096]); time.sleep(60)", (617,)),
        ("os._exit(3)", (0, 617, 999)),
    ],
)
def test_a_record_that_kills_is_named_by_the_second_death(
    workplace: Workplace, poison: str, guilty: tuple[int, ...]
) -> None:
    file = succeeded_once(workplace, f"if int(line) in {guilty}:\n    {poison}\nreturn {{}}")
    patience = "1s" if poison.startswith("while") else "20s"
    answer = run(workplace, file, "--batch-timeout", patience, "--worker-memory", "300MiB")
    assert 0 < deaths(answer) <= 4 * len(guilty)
    assert workplace.query(file, "lines")[0]["value"] == 1001 - len(guilty)
    assert len(workplace.letters(file)) == len(guilty)
    whole = workplace.ledger(file, "--source", "file:a.log")
    assert (whole["consumed"], whole["counted"], whole["dead"]) == (1001, 1001 - len(guilty), len(guilty))


def test_a_batch_transform_that_kills_is_halved(workplace: Workplace) -> None:
    file = workplace.write(
        "halved.py",
        HEAD + "@pipeline.transform_batch\ndef parse(batch):\n"
        "    if b'37' in batch.column('value').to_pylist():\n        os._exit(3)\n"
        "    return batch\n",
    )
    workplace.write("a.log", "".join(f"{n}\n" for n in range(64)))
    answer = run(workplace, file)
    assert deaths(answer) == 6 + 3  # halves of 64 down to one, which kills three
    assert len(workplace.letters(file)) == 1
    assert workplace.query(file, "lines")[0]["value"] == 63


def test_with_order_a_partitions_records_stay_in_it(workplace: Workplace) -> None:
    ordered = "ordered_by='partition', metrics=[c.count('lines', by=['order'])]"
    head = HEAD.replace("metrics=[c.count('lines')]", ordered) + "last = [-1]\n"
    kill = "if n == 617:\n    os._exit(3)"
    body = f"n = int(line)\n{kill}\nright, last[0] = n > last[0], n\nreturn {{'order': right}}"
    file = succeeded_once(workplace, body, head)
    assert 0 < deaths(run(workplace, file)) <= 4
    assert workplace.counts(file, "lines") == {(True,): 1000}
    assert len(workplace.letters(file)) == 1


def test_what_was_claimed_before_the_death_still_counts(workplace: Workplace) -> None:
    head = HEAD.replace("metrics=", "dedup=c.by_id('id', within='1h'), metrics=")
    body = "if int(line) == 617:\n    os._exit(3)\nreturn {'id': str(int(line) % 500)}"
    file = succeeded_once(workplace, body, head)
    assert 0 < deaths(run(workplace, file)) <= 4
    assert workplace.query(file, "lines")[0]["value"] == 500
    whole = workplace.ledger(file, "--source", "file:a.log")
    assert (whole["consumed"], whole["counted"], whole["duplicates"], whole["dead"]) == (1001, 500, 500, 1)


def test_a_letter_that_kills_again_is_a_letter_again_and_others_count(workplace: Workplace) -> None:
    file = succeeded_once(workplace, "if int(line) in (100, 200):\n    os._exit(3)\nreturn {}")
    run(workplace, file)
    assert len(workplace.letters(file)) == 2
    for bad, left in (200, 1), (-1, 0):
        pipeline(workplace, f"if int(line) == {bad}:\n    os._exit(3)\nreturn {{}}")
        workplace.run("dead", "replay", file, "--all")
        run(workplace, file)
        assert workplace.query(file, "lines")[0]["value"] == 1001 - left
        whole = workplace.ledger(file, "--source", "file:a.log")
        assert (whole["consumed"], whole["counted"], whole["dead"]) == (1001, 1001 - left, left)
