"""A wall clock that jumps, for a process of its own: its libc adds to every time of day what stands in a file.

with wall_clock(folder) as clock, gate(folder, path, environment=clock.environment) as running:
    clock.set(-86_400)             # seconds, for every thread and child of that process, from now on
"""

import mmap
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import require
from tests.servers import program

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WALL_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        offset = page;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, which, now);
    if (!failed && offset && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact))
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}
"""


@dataclass
class WallClock:
    environment: dict[str, str]
    _page: mmap.mmap

    def set(self, seconds: int) -> None:
        """How far it is ahead of the true one; less than nothing: behind."""
        self._page[:8] = struct.pack("=q", seconds)


@contextmanager
def wall_clock(folder: Path) -> Iterator[WallClock]:
    """The clock, right at first. Needs a C compiler."""
    require("cc")
    source, library, file = folder / "clock.c", folder / "clock.so", folder / "clock"
    source.write_text(SOURCE)
    subprocess.run([str(program("cc")), "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    file.write_bytes(bytes(8))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 8) as page:
        yield WallClock({"LD_PRELOAD": str(library), "WALL_CLOCK": str(file)}, page)
