"""What is kept of counted rows, where a pipeline asks for it: a JSON object each, at its record's place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from comporta.columns import Bad
from comporta.groups import Indexes
from comporta.payloads import OutputRows, pack
from comporta.records import Decoded
from comporta.values import canonical

LONGEST_ROW = 256 << 10
"""Bytes that the text of a row may have: more makes a dead letter, as no store takes any number."""


def row_texts(fields: Mapping[str, Sequence[str]], bad: Bad) -> list[str]:
    """Each row as a JSON object; `fields` has the canonical texts of its fields. Tells `bad` of long ones."""
    names = (canonical(name).replace("%", "%%") for name in fields)
    template = f"{{{','.join(f'{name}:%s' for name in names)}}}"
    texts = list(map(template.__mod__, zip(*fields.values(), strict=True)))
    if max(map(len, texts), default=0) * 4 > LONGEST_ROW:
        for row, text in enumerate(texts):
            if (size := len(text.encode())) > LONGEST_ROW:
                bad(
                    row, f"what rows= keeps of it takes {size:,} bytes, over {LONGEST_ROW:,}; keep less of it"
                )
    return texts


def output_rows(
    decoded: Decoded,
    records: Indexes,
    texts: Sequence[str],
    kept: Indexes,
    times: list[int] | None,
) -> bytes:
    """The rows `kept`, at least one, as the store takes them.

    `records` has the index of the record that each row is of, `texts` the text of each; `times` are for those
    that are kept.
    """
    offsets, indexes, rows = decoded.offsets, _indexes(records.tolist()), kept.tolist()
    output: OutputRows = {
        "partition": decoded.partitions[0],  # of all its records, as a replayed one is alone
        "offsets": [offsets[record] for record in records[kept].tolist()],
        "indexes": [indexes[row] for row in rows],
        "times": times,
        "rows": [texts[row] for row in rows],
    }
    return pack(output)


def _indexes(records: Sequence[int]) -> Sequence[int]:
    """Which of its record's rows each row is."""
    if len(set(records)) == len(records):
        return [0] * len(records)
    seen: Counter[int] = Counter()
    indexes = []
    for record in records:
        indexes.append(seen[record])
        seen[record] += 1
    return indexes
