"""Records a second that one core decodes of Kafka's record batches: natively, in Python, as aiokafka does.

    python bench/decoding.py [--lines 100000] [--batch-bytes 65536] [--rounds 5] [--json PATH]

The records are lines of examples/access.log, over and over, in record batches of about --batch-bytes before
they are compressed. They are decoded in slices of about 1 MiB, one after the other, as a worker does it: to
be counted only, into Arrow (all that a batch transform gets; by aiokafka the values alone), and into a list
of `bytes` (as a record transform gets them). What they make is compared first; then each round runs all of
them, one after the other. Printed are medians by CPU time, and their ratios to aiokafka's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from comporta import arrow, kafka_native
from comporta.formats import decode
from comporta.records import Batch, Decoded

LOG = Path(__file__).parents[1] / "examples" / "access.log"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
SLICE = 1 << 20  # bytes
Work = Callable[[bytes], Any]


def slices(lines: Sequence[bytes], compression: int, batch_bytes: int) -> list[bytes]:
    """Record batches of these lines, put together as a source does."""
    made = [b""]
    offset = 0
    for part in parts(lines, batch_bytes):
        builder = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=compression,
            is_transactional=False,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1 << 30,
        )
        for index, line in enumerate(part):
            builder.append(index, 1_700_000_000_000, None, line, [])
        data = offset.to_bytes(8, "big") + bytes(builder.build())[8:]
        if len(made[-1]) + len(data) > SLICE and made[-1]:
            made.append(b"")
        made[-1] += data
        offset += len(part)
    return made


def parts(lines: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    held = 0
    for line in lines:
        if part and held + len(line) > size:
            yield part
            part, held = [], 0
        part.append(line)
        held += len(line)
    yield part


def decoded(payload: bytes) -> Decoded:
    return decode(Batch("kafka", "topic/0", "topic/0", 0, 0, 1 << 60, 0), payload)


def by_aiokafka(payload: bytes) -> Iterator[Any]:
    records = MemoryRecords(payload)
    while records.has_next():
        yield from records.next_batch()


WORK: dict[str, dict[str, Work]] = {
    "counted": {
        "comporta": lambda payload: decoded(payload).count,
        "aiokafka": lambda payload: sum(1 for _ in by_aiokafka(payload)),
    },
    "Arrow": {
        "comporta": lambda payload: arrow.record_batch(decoded(payload)).column("value"),
        "aiokafka": lambda payload: pa.array([record.value for record in by_aiokafka(payload)], pa.binary()),
    },
    "list": {
        "comporta": lambda payload: list(decoded(payload).values),
        "aiokafka": lambda payload: [record.value for record in by_aiokafka(payload)],
    },
}


def decoders(into: str) -> dict[str, Work]:
    def in_python(payload: bytes) -> Any:
        with mock.patch.object(kafka_native, "native", None):
            return WORK[into]["comporta"](payload)

    found = {"aiokafka": WORK[into]["aiokafka"], "Python": in_python}
    return found | {"native": WORK[into]["comporta"]} if kafka_native.is_available() else found


def timed(work: Work, payloads: Sequence[bytes]) -> float:
    """CPU seconds that it takes. What is made is dropped, as a worker does, before the next is."""
    elapsed = 0.0
    for payload in payloads:
        started = time.process_time()
        made = work(payload)
        elapsed += time.process_time() - started
        del made
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--batch-bytes", type=int, default=65_536)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not kafka_native.is_available():
        print("there is no native decoder here: install Rust, then comporta again", file=sys.stderr)
    lines = list(islice(cycle(LOG.read_bytes().splitlines()), args.lines))
    payloads = {name: slices(lines, number, args.batch_bytes) for number, name in enumerate(COMPRESSIONS)}
    runs = [
        (name, into, decoder, work)
        for name in payloads
        for into in WORK
        for decoder, work in decoders(into).items()
    ]
    for name, into, decoder, work in runs:
        if any(work(payload) != WORK[into]["aiokafka"](payload) for payload in payloads[name]):
            sys.exit(f"{name}, {into}: {decoder} does not make the same of it as aiokafka")
    times: dict[tuple[str, str, str], list[float]] = {}
    for turn in range(args.rounds):
        for name, into, decoder, work in runs:
            times.setdefault((name, into, decoder), []).append(timed(work, payloads[name]))
        print(f"round {turn + 1} of {args.rounds} done", file=sys.stderr)
    print(
        f"{args.lines:,} lines of {sum(map(len, lines)) / len(lines):.0f} bytes, medians of {args.rounds};"
        " million records a second of CPU time, and ratios to aiokafka's"
    )
    results = []
    for (name, into, decoder), each in times.items():
        rate = args.lines / statistics.median(each)
        ratio = statistics.median(times[name, into, "aiokafka"]) / statistics.median(each)
        print(f"{name:<8} {into:<8} {decoder:<10} {rate / 1e6:>8.2f} {ratio:>8.2f}")
        results.append({"compression": name, "into": into, "decoder": decoder, "rate": rate, "ratio": ratio})
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
