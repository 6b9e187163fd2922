"""Clocks that are wrong: the processes of a member see another time of day than others do.

A few lines of C, loaded before the C library, shift what it says of the time of day. What measures how long
something takes sees no difference, and nothing sleeps for longer.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

VARIABLE = "COMPORTA_CHAOS_CLOCK"
COMPILER = "cc"
SOURCE = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long none = 0, *fast = &none;  /* by how many seconds */

__attribute__((constructor)) static void find(void) {
    const char *path = getenv("%s");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof *fast, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) fast = found;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int status = syscall(SYS_clock_gettime, clock, now);
    if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *fast;
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    int status = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return status;
}

time_t time(time_t *kept) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (kept) *kept = exact.tv_sec;
    return exact.tv_sec;
}

/* Waits until a time of day, which the kernel goes by its own clock for. */
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec right = *until;
    right.tv_sec -= *fast;
    return sem_clockwait(semaphore, CLOCK_REALTIME, &right);
}
"""


class Clock:
    """The clocks of members, by their names: a file each in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        folder.mkdir()
        self._library = self._folder / "clock.so"
        words = [COMPILER, "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(self._library)]
        subprocess.run(words, input=SOURCE % VARIABLE, text=True, check=True)

    def environment(self, member: str) -> dict[str, str]:
        """What a member's processes are to have in their environment; their clock is right at first."""
        self.set(member, 0)
        return {"LD_PRELOAD": str(self._library), VARIABLE: str(self._folder / member)}

    def set(self, member: str, hours: float) -> None:
        """Have a member's clock be fast by so many hours, or slow."""
        descriptor = os.open(self._folder / member, os.O_RDWR | os.O_CREAT)
        try:
            os.pwrite(descriptor, struct.pack("l", round(hours * 3600)), 0)  # in place, as processes map it
        finally:
            os.close(descriptor)


def missing() -> str | None:
    """What this machine lacks for it, in words."""
    return None if shutil.which(COMPILER) else f"there is no C compiler: {COMPILER}"
