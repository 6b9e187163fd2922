"""A model of the exactly-once protocol, run over random schedules: changed here before it is in the code.

The world: two partitions of a log in which producers repeat themselves, a third that holds replayed dead
letters, claims (Redis), and a store (Cassandra) with redo records, checkpoints changed by compare-and-set,
and rows where the highest timestamp wins and a write may land at any later time, even after its writer died.
Owners are killed between any two operations; replaced owners go on as zombies; a compare-and-set may time
out, its outcome unknown, and be carried out much later. Transforms are as bad as they get: every run of a
record may choose other groups, and may fail. At the end everything is finished, every dead letter is replayed
once more, zombies and late writes have their last word, and each event must be counted exactly once in every
metric, and have exactly one output row, at its source position, that says what was counted of it.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

BUGS = {
    "apply-before-deciding": "rows are written before the compare-and-set says that they count",
    "no-compare": "the checkpoint is written without a condition",
    "no-redo": "a new owner trusts that the last decided flush was applied",
    "no-timestamp": "rows are written with the time of day, so a late write beats a newer row",
    "overlap": "the next flush is decided before the last one is applied",
    "unknown-is-done": "a compare-and-set that timed out is taken for a success",
    "redo-reused": "an owner writes its next redo over one whose comparison may still be on its way",
    "keep-memory": "an owner that lost goes on from the totals in its memory",
    "torn-snapshot": "a flush holds part of a batch that is being folded in",
    "evict-early": "a row leaves memory before the flush that holds it is applied",
    "claim-without-position": "a redelivered record finds its own claim and is dropped as a duplicate",
    "replay-forgets": "the store does not remember which letters were replayed",
    "row-before-deciding": "output rows are written as their record is folded in",
}
REPLAY = 2  # the partition of replayed dead letters


class Cluster:
    def __init__(self, rnd, bug):
        self.rnd, self.bug, self.clock = rnd, bug, 0
        self.logs = {0: [], 1: [], REPLAY: []}  # a record: (identity, source position, attempt)
        self.claims, self.redo, self.checkpoints, self.rows = {}, {}, {}, {}
        self.dead_letters, self.late, self.ids = [], [], itertools.count()

    def claim(self, identity, position):
        """Whether this position was the first that claimed this identity, however often it asks."""
        if self.bug == "claim-without-position" and identity in self.claims:
            return False
        return self.claims.setdefault(identity, position) == position

    def compare_and_set(self, partition, expected, new):
        if self.bug != "no-compare" and self.checkpoints.get(partition, (0, None))[0] != expected:
            return False
        self.checkpoints[partition] = new
        return True

    def write_row(self, key, value, upto):
        self.clock += 1
        timestamp = self.clock if self.bug == "no-timestamp" else upto
        if timestamp >= self.rows.get(key, ((), -1))[1]:
            self.rows[key] = (value, timestamp)

    def land(self, everything=False):
        self.rnd.shuffle(self.late)
        for _ in range(len(self.late) if everything else self.rnd.randrange(len(self.late) + 1)):
            write = self.late.pop()
            if isinstance(write[0], int):
                self.compare_and_set(*write)
            else:
                self.write_row(*write)


class Owner:
    """One process that believes it owns a partition. It folds on while a flush is under way.

    `steps` stops before every operation on the cluster, so that the schedule may put anything between any two
    of them, or never go on.
    """

    def __init__(self, cluster, partition, name, failing=0.15):
        self.cluster, self.partition, self.name, self.failing = cluster, partition, name, failing
        self.log, self.done, self.steps = cluster.logs[partition], False, self.run()

    def run(self):
        rnd = self.cluster.rnd
        yield from self.start()
        folding = flushing = None
        while True:
            if not folding and self.position < len(self.log):
                folding = self.fold(min(len(self.log), self.position + rnd.randint(1, 5)))
            elif not folding and not flushing and self.position == self.decided:
                self.done = self.position == len(self.log)
                yield
            task = rnd.choice([task for task in (folding, flushing) if task] or [None])
            try:
                if task:
                    next(task)
                    yield
            except StopIteration as end:
                folding, flushing = (
                    folding if task is flushing else None,
                    flushing if task is folding else None,
                )
                if end.value == "lost":
                    folding = None
                    yield from self.start(keep=True)
            if not folding and not flushing and self.position > self.decided and rnd.random() < 0.4:
                flushing = self.flush(*(() if self.cluster.bug == "torn-snapshot" else self.snapshot()))

    def start(self, keep=False):
        """Finish what was decided last, whoever decided it, and go on from there."""
        redo = None
        while redo is None:  # a newer owner may have tidied it away: then there is a newer one
            yield
            self.decided, flush = self.cluster.checkpoints.get(self.partition, (0, None))
            yield
            redo = (
                self.cluster.redo.get((self.partition, self.decided, flush))
                if flush is not None
                else ({}, [])
            )
        if not (keep and self.cluster.bug == "keep-memory"):
            self.memory = {}
        self.dirty, self.dead, self.position = set(), [], self.decided
        if self.cluster.bug != "no-redo":
            yield from self.apply(*redo, self.decided)

    def value(self, key):
        if key not in self.memory:
            yield
            self.memory[key] = self.cluster.rows.get((self.partition, key), ((), -1))[0]
        return self.memory[key]

    def fold(self, upto):
        rnd = self.cluster.rnd
        for identity, source, attempt in self.log[self.position : upto]:
            if self.partition == REPLAY and self.cluster.bug != "replay-forgets":
                if (yield from self.value(("replayed", source, attempt))):
                    continue
                self.memory["replayed", source, attempt] = (1,)
                self.dirty.add(("replayed", source, attempt))
            yield
            if not self.cluster.claim(identity, source):
                continue
            if rnd.random() < self.failing:
                self.dead.append((identity, source, attempt + 1))
                continue
            counted = []
            for metric in ("requests", "bytes"):
                key = (metric, rnd.randrange(3))  # not even deterministic
                self.memory[key] = (yield from self.value(key)) + (identity,)
                self.dirty.add(key)
                counted.append(key)
            row = ("row", source)  # a new key each: nothing is read back for it
            self.memory[row] = (identity, *counted)
            self.dirty.add(row)
            if self.cluster.bug == "row-before-deciding":
                self.cluster.write_row(self.place(row), self.memory[row], upto)
        self.position = upto

    def place(self, key):
        """Where a row lies: an output row under its record's source position, whoever replayed it."""
        return (key[1][0] if key[0] == "row" else self.partition, key)

    def snapshot(self):
        snapshot = self.position, ({key: self.memory[key] for key in self.dirty}, self.dead)
        self.dirty, self.dead = set(), []
        return snapshot

    def flush(self, upto=None, redo=None):
        """A snapshot's redo, the decision, its application. Returns "lost" if another flush was decided."""
        cluster, rnd, bug = self.cluster, self.cluster.rnd, self.cluster.bug
        upto, redo = (upto, redo) if redo else self.snapshot()
        flush = self.name if bug == "redo-reused" else next(cluster.ids)  # an id for every attempt
        yield
        cluster.redo[self.partition, upto, flush] = redo
        if bug == "apply-before-deciding":
            yield from self.apply(*redo, upto)
        if not (yield from self.decide(upto, flush)):
            return "lost"
        before, self.decided = self.decided, upto
        if bug == "overlap" and rnd.random() < 0.5:
            cluster.late += [
                (self.place(key), value, upto) for key, value in redo[0].items() if rnd.random() < 0.7
            ]  # sent, not waited for; some never arrive
        else:
            if bug == "evict-early":
                self.memory = {key: value for key, value in self.memory.items() if key in self.dirty}
            yield from self.apply(*redo, upto)
        yield
        if not bug:  # else a mistake would show as a hang
            for key in [key for key in cluster.redo if key[0] == self.partition and key[1] <= before]:
                del cluster.redo[key]
        if rnd.random() < 0.3:  # evicted: the next touch reads the row again
            self.memory = {key: value for key, value in self.memory.items() if key in self.dirty}

    def decide(self, upto, flush):
        """The comparison, asked again unchanged until it is answered.

        A request or an answer may be lost, and a request that was given up may be carried out later.
        """
        cluster, rnd = self.cluster, self.cluster.rnd
        request = (self.partition, self.decided, (upto, flush))
        while True:
            yield
            fate = rnd.random()
            if fate < 0.08:
                cluster.late.append(request)
            elif fate > 0.16:
                applied = cluster.compare_and_set(*request)
                if fate > 0.24:
                    return applied or cluster.checkpoints.get(self.partition) == (upto, flush)
            if cluster.bug == "unknown-is-done":
                return True
            if cluster.bug == "redo-reused":
                yield
                return cluster.checkpoints.get(self.partition) == (upto, flush)

    def apply(self, rows, dead, upto):
        """Dead letters, then rows. Twice changes nothing; half of it leaves the rest to the next owner."""
        cluster = self.cluster
        for letter in dead:
            yield
            cluster.dead_letters.append(letter)
        for key, value in sorted(rows.items(), key=lambda _: cluster.rnd.random()):
            write = (self.place(key), value, upto)
            cluster.late.append(write)  # in the network from now on, whoever dies
            yield
            if write in cluster.late:
                cluster.late.remove(write)
            if cluster.rnd.random() < 0.1:
                cluster.late.append(write)  # a retry whose first try lands much later
            cluster.write_row(*write)


def run(seed, bug=None, lose_claims=False):
    """One schedule: how many effects were lost, and how many happened more than once."""
    rnd = random.Random(seed)
    cluster = Cluster(rnd, bug)
    events = [(identity, rnd.choice((1, 1, 1, 2, 3))) for identity in range(rnd.randint(4, 18))]
    for identity, copies in events:
        for _ in range(copies):
            cluster.logs[rnd.choice((0, 1))].append(identity)
    for partition in (0, 1):
        rnd.shuffle(cluster.logs[partition])
        cluster.logs[partition][:] = [
            (identity, (partition, offset), 0) for offset, identity in enumerate(cluster.logs[partition])
        ]
    names = itertools.count()
    owners = [Owner(cluster, partition, next(names)) for partition in (0, 1, REPLAY)]
    for _ in range(rnd.randint(20, 400)):
        owner, roll = rnd.choice(owners), rnd.random()
        if roll < 0.93:
            next(owner.steps)
        elif roll < 0.95:  # killed, and replaced
            owners[owners.index(owner)] = Owner(cluster, owner.partition, next(names))
        elif roll < 0.965:  # replaced, but goes on: a zombie
            owners.append(Owner(cluster, owner.partition, next(names)))
        elif roll < 0.975 and cluster.dead_letters:
            cluster.logs[REPLAY] += [rnd.choice(cluster.dead_letters)] * rnd.choice((1, 1, 2))
        elif lose_claims and roll < 0.98:
            cluster.claims.clear()
        else:
            cluster.land()
    for owner in owners:
        owner.failing = 0  # the transform is mended
    for partition in (0, 1, REPLAY, REPLAY, REPLAY):
        if partition == REPLAY:
            cluster.logs[REPLAY] += cluster.dead_letters  # all of them, also those replayed before
        last = Owner(cluster, partition, next(names), failing=0)
        while not last.done:
            next(last.steps)
            if rnd.random() < 0.2:
                next(rnd.choice(owners).steps)
    for _ in range(60):
        next(rnd.choice(owners).steps)
    cluster.land(everything=True)
    counted = {metric: Counter() for metric in ("requests", "bytes")}
    told = {metric: Counter() for metric in counted}  # by the output rows; each agrees with what was counted
    for (_, key), (value, _) in cluster.rows.items():
        if key[0] == "row":
            identity, *groups = value
            for metric, group in groups:
                told[metric][identity, group] += 1
        elif key[0] != "replayed":
            counted[key[0]].update((identity, key[1]) for identity in value)
    times = [
        sum(found[metric][identity, group] for group in range(3))
        for found in (counted, told)
        for metric in counted
        for identity, _ in events
    ]
    for metric in counted:  # a row that tells of another group than was counted is a lost effect
        differences = (counted[metric] - told[metric]) + (told[metric] - counted[metric])
        times += [0] * bool(differences)
    return sum(n == 0 for n in times), sum(n > 1 for n in times)
