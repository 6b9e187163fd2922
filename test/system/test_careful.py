"""A record that kills its worker is named by a careful attempt; where none can name it, halving finds it."""

from __future__ import annotations

import subprocess

import pytest
from conftest import Workplace
from test_faults import HEAD, pipeline, run


def deaths(answer: subprocess.CompletedProcess[str]) -> int:
    return answer.stderr.count("while it worked on")


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
    file = pipeline(workplace, f"if int(line) in {guilty}:\n    {poison}\nreturn {{}}")
    # Until something has succeeded, there are no careful attempts.
    workplace.write("a.log", "5000\n")
    run(workplace, file)
    with (workplace.folder / "a.log").open("a") as log:
        log.writelines(f"{n}\n" for n in range(1000))
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
