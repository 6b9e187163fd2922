"""One job, done by Comporta and by others on the same machine in the same run, and what each of them took."""
