"""Records a second that a core cuts and decodes of Kafka's record batches: natively, in Python, by aiokafka.

    python bench/decoding.py [--lines 100000] [--batch-bytes 65536] [--rounds 5] [--json PATH]

The records are lines of examples/access.log, over and over, in record batches of about --batch-bytes before
they are compressed. They are decoded in slices of about 1 MiB, one after the other, as a worker does it: to
be counted only, into Arrow (all that a batch transform gets; by aiokafka the values alone), and into a list
of `bytes` (as a record transform gets them). Beside them are record batches of lz4 that hold one record each,
which are cut, too: checked, and put together as slices, which is the source's part. What they make is
compared first; then each round runs all of them, one after the other. Printed are medians by CPU time, and
their ratios to aiokafka's; of cutting, which aiokafka does not do, to what Python takes.
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
from aiokafka.structs import TopicPartition

from comporta import arrow, kafka_native
from comporta.formats import decode
from comporta.records import Batch, Decoded
from comporta.sources.contract import Limits
from comporta.sources.kafka.slices import Cutter, is_sliceable

LOG = Path(__file__).parents[1] / "examples" / "access.log"
COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"]
ONE_EACH = "lz4, one"  # record batches that hold one record each
SLICE = 1 << 20  # bytes
LIMITS = Limits(SLICE, 64 << 20)
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


def cut(payload: bytes) -> list[tuple[int, int, int, memoryview]]:
    """The slices that a source hands over of it, fetched from where it begins on."""
    assert is_sliceable(payload, LIMITS)
    position = int.from_bytes(payload[:8], "big")
    cutter = Cutter(TopicPartition("topic", 0), payload, (), position, None, LIMITS)
    return [(each.first, each.next, each.count, each.payload) for each in cutter.slices()]


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
    "slices": {"comporta": cut},
}


def decoders(into: str) -> dict[str, Work]:
    def in_python(payload: bytes) -> Any:
        with mock.patch.object(kafka_native, "native", None):
            return WORK[into]["comporta"](payload)

    found = {name: work for name, work in WORK[into].items() if name != "comporta"} | {"Python": in_python}
    return found | {"native": WORK[into]["comporta"]} if kafka_native.is_available() else found


def first_decoder(into: str) -> str:
    """The one that others are compared with."""
    return next(iter(decoders(into)))


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
    payloads[ONE_EACH] = slices(lines, COMPRESSIONS.index("lz4"), 1)
    runs = [
        (name, into, decoder, work)
        for name in payloads
        for into in WORK
        if into != "slices" or name == ONE_EACH
        for decoder, work in decoders(into).items()
    ]
    for name, into, decoder, work in runs:
        expected = first_decoder(into)
        if any(work(payload) != decoders(into)[expected](payload) for payload in payloads[name]):
            sys.exit(f"{name}, {into}: {decoder} does not make the same of it as {expected}")
    times: dict[tuple[str, str, str], list[float]] = {}
    for turn in range(args.rounds):
        for name, into, decoder, work in runs:
            times.setdefault((name, into, decoder), []).append(timed(work, payloads[name]))
        print(f"round {turn + 1} of {args.rounds} done", file=sys.stderr)
    print(
        f"{args.lines:,} lines of {sum(map(len, lines)) / len(lines):.0f} bytes, medians of {args.rounds};"
        " million records a second of CPU time, and ratios to the first of each"
    )
    results = []
    for (name, into, decoder), each in times.items():
        rate = args.lines / statistics.median(each)
        ratio = statistics.median(times[name, into, first_decoder(into)]) / statistics.median(each)
        print(f"{name:<8} {into:<8} {decoder:<10} {rate / 1e6:>8.2f} {ratio:>8.2f}")
        results.append({"compression": name, "into": into, "decoder": decoder, "rate": rate, "ratio": ratio})
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
