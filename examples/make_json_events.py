"""Writes events for json_events.py: python examples/make_json_events.py [EVENTS] > events.jsonl

Every tenth event is sent again, somewhere later, and one in a thousand comes cut short, too.
"""

import json
import random
import sys
from datetime import datetime, timedelta, timezone

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
TYPES = ["view", "view", "view", "search", "order"]


def main(count: int) -> None:
    chance = random.Random(1)
    lines = [event(number, chance) for number in range(count)]
    cut = [line[: len(line) // 2] for line in lines[::1000]]
    again = lines[5::10]
    for position, line in enumerate(again):
        lines.insert(chance.randrange(5 + 11 * position, len(lines) + 1), line)
    lines += cut
    print("\n".join(lines))
    print(
        f"{len(lines):,} lines: {count:,} events, {len(again):,} of them twice, and {len(cut):,} cut short.\n"
        "Next: comporta run examples/json_events.py --source file:events.jsonl --until-end",
        file=sys.stderr,
    )


def event(number: int, chance: random.Random) -> str:
    return json.dumps(
        {
            "id": f"{chance.getrandbits(64):016x}",
            "time": (START + timedelta(seconds=2 * number)).isoformat(),
            "type": chance.choice(TYPES),
            "user": f"user-{chance.randrange(500)}",
            "ms": round(chance.lognormvariate(3.5, 0.6), 1),
        }
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
