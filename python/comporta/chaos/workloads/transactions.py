"""Records that come in transactions, one in three of which is aborted."""

from __future__ import annotations

from comporta.chaos.workloads.counting import Counting


class Transactions(Counting):
    """Counting of what was committed, and of nothing else."""

    name = "transactions"
    systems = ("cluster", "replicated")
    is_transactional = True
