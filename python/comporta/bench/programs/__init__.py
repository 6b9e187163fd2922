"""What runs in an interpreter of its own, started by a file's path: nothing here imports `comporta`."""
