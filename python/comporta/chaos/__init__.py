"""The chaos suite: a workload, faults from a seeded schedule, and a judge that knows what was acknowledged.

A run goes one way: a `Producer` keeps what the broker acknowledged; a `System` of real services and releases
counts it; faults are injected and healed one after another; when everything has settled, the `Judge` compares
what `comporta query`, `audit` and `dead list` say with what it computes from the record of what was
acknowledged. It shares no code with what computes metrics.

Each file in `workloads/` is a workload, each in `faults/` a family of faults.
"""
