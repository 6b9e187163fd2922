"""Comporta: write only the transform, and have its metrics counted exactly once.

    import comporta as c

    pipeline = c.Pipeline("access-log", metrics=[c.count("requests", by=["status"], every="1m")])

    @pipeline.transform
    def parse(line):
        time, status = line.split()
        return {"time": time.decode(), "status": int(status)}

`comporta run FILE.py --source file:access.log --until-end` runs it; `c.testing.run` does in a test or a
notebook.
"""

from comporta import testing
from comporta.definition import Pipeline, by_id
from comporta.errors import ComportaError, DefinitionError
from comporta.metrics.count import Count as count
from comporta.metrics.distinct import Distinct as distinct
from comporta.metrics.extremes import Max as max
from comporta.metrics.extremes import Min as min
from comporta.metrics.mean import Mean as mean
from comporta.metrics.quantiles import Quantiles as quantiles
from comporta.metrics.sum import Sum as sum
from comporta.metrics.top import Top as top
from comporta.records import Record

__all__ = [
    "ComportaError",
    "DefinitionError",
    "Pipeline",
    "Record",
    "by_id",
    "count",
    "distinct",
    "max",
    "mean",
    "min",
    "quantiles",
    "sum",
    "testing",
    "top",
]
