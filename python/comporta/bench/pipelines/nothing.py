"""Nothing to compute: workers count what they get by the headers of Kafka's record batches, and drop it.

No user can have that, for a transform sees records. It shows what the path costs by itself, so what a worker
does with a batch is replaced here: nothing is decoded, and nothing is run.
"""

import comporta as c
from comporta import computation
from comporta.computation import Outcome
from comporta.kafka_batches import record_batches
from comporta.kafka_records import count_records
from comporta.records import Decoded, Lines

pipeline = c.Pipeline("bench", metrics=[c.count("requests")])


@pipeline.transform
def transform(line):
    return None


class Headers(Lines):
    """What headers say of a batch."""

    def __init__(self, batch, payload):
        Decoded.__init__(self, batch, ())
        data = bytes(payload)
        self.consumed = sum(
            count_records(data, each, batch.first, batch.next) for each in record_batches(data)
        )

    count = property(lambda self: self.consumed)
    middle = property(lambda self: None)


def run(self, decoded, claim, note=None):
    nothing = {"buckets": [], "keys": [], "deltas": []}
    result = {
        "metrics": {"requests": nothing},
        "letters": [],
        "output": None,
        "late": 0,
        "expired": 0,
        "without_id": 0,
    }
    return Outcome(
        consumed=decoded.count,
        counted=0,
        dropped=decoded.count,
        duplicates=0,
        dead=0,
        result=result,
        transform_us=0,
    )


computation.decode = lambda batch, payload, tell=None: Headers(batch, payload)
computation.Computation.run = run
