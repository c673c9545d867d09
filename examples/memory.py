"""Measure the peak memory of a program, its workers and its channel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from channel import shared_memory_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from typing import Any

PROCESSES = Path("/proc")
SAMPLING_SECONDS = 0.02


@dataclass
class PeakMemory:
    """The most that samples every 20 ms have seen, in bytes; 0 where there is no /proc.

    Attributes:
        driver: Anonymous memory of the driver (RssAnon of proc(5)): what is its own, without libraries.
        workers: Anonymous memory of its child processes, added up. Forked ones count what they share as well.
        stored: What memory holds outside of them: shared memory taken since the start, files of caches.
        total: All of these at one moment.
    """

    driver: int = 0
    workers: int = 0
    stored: int = 0
    total: int = 0

    def include(self, driver: int, workers: int, stored: int) -> None:
        """Take a sample into account."""
        self.driver = max(self.driver, driver)
        self.workers = max(self.workers, workers)
        self.stored = max(self.stored, stored)
        self.total = max(self.total, driver + workers + stored)


def watch_memory(driver: int, run: Future[Any]) -> PeakMemory:
    """Look at a driver's process, its workers and the shared memory until its run is over.

    This must not happen in the driver itself, which lets no other thread run while it pickles a large array.
    """
    peak = PeakMemory()
    in_use_before = shared_memory_in_use()
    while not run.done():
        workers = list(children(driver))
        anonymous_files = {inode: size for pid in (driver, *workers) for inode, size in memory_files(pid)}
        peak.include(
            anonymous_memory(driver),
            sum(map(anonymous_memory, workers)),
            max(0, shared_memory_in_use() - in_use_before) + sum(anonymous_files.values()),
        )
        time.sleep(SAMPLING_SECONDS)
    return peak


def anonymous_memory(pid: int) -> int:
    """Return the anonymous resident memory of a process in bytes; 0 once it has ended."""
    try:
        _, _, rest = (PROCESSES / str(pid) / "status").read_text().partition("RssAnon:")
    except OSError:
        return 0
    return int(rest.split()[0]) * 1024 if rest else 0


def children(pid: int) -> Iterator[int]:
    """Return the child processes, whichever thread started them."""
    for listing in PROCESSES.glob(f"{pid}/task/*/children"):
        try:
            yield from map(int, listing.read_text().split())
        except OSError:
            continue  # the thread has ended


def memory_files(pid: int) -> Iterator[tuple[int, int]]:
    """Return inode and size in bytes of the anonymous files (memfd_create) that a process holds."""
    for descriptor in PROCESSES.glob(f"{pid}/fd/*"):
        try:
            if str(descriptor.readlink()).startswith("/memfd:"):
                status = descriptor.stat()
                yield status.st_ino, status.st_blocks * 512
        except OSError:
            continue  # it was closed meanwhile
