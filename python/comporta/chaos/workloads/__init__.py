"""Workloads: every class with a `name` in a file of this folder is one; see `comporta.chaos.workload`."""
