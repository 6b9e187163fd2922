"""The job as pipelines of Comporta, each a `FILE.py` for `comporta run`."""
