"""The systems that do the job: each module defines one or more."""
