"""Which memory can a put use again? Free segments, their pages already there, in bounded number and size."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from psk.connectors.file.directory import open_in
from psk.connectors.shm.locks import try_lock, try_share, unlock
from psk.connectors.shm.segment import FREE_DIRECTORY, Segment, whole_pages

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory

MOST_FREE: Final = 64
"""Free segments of a space: they are listed at each use."""

MOST_KEPT: Final = 8
"""Segments that a process keeps open and mapped after it filled them: each costs a descriptor."""

_DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_FIELDS: Final = 3


class Free(NamedTuple):
    """What the name of a free segment says; only a hint, whoever takes it looks at the file itself."""

    name: str
    since: int
    inode: int
    capacity: int


class Pool:
    """Find, keep and drop the free segments of one space."""

    __slots__ = ("_busy", "_kept")

    def __init__(self) -> None:
        # Changed by single dictionary operations, which are atomic: there is no lock that whoever comes in between,
        # a finaliser or a signal handler, could find held.
        self._kept: dict[int, Segment] = {}
        # Being filled by some thread: a forked child has to let go of them too.
        self._busy: dict[int, Segment] = {}

    def take(self, directory: Directory, nbytes: int) -> Segment | None:
        """Return a free segment of sensible size, its lock held exclusively; None if there is none.

        Those that this process still has mapped come first, then the smallest. One whose lock is held is being
        read, or filled by another process, and is passed over.
        """
        least = whole_pages(nbytes)
        fitting = [free for free in free_segments(directory) if least <= free.capacity <= 2 * least]
        for free in sorted(fitting, key=lambda free: (free.inode not in self._kept, free.capacity)):
            segment = self._kept.pop(free.inode, None)
            if segment is None:
                segment = Segment.adopt(directory, free.name)
                if segment is None:
                    continue
            else:
                segment.name = free.name
            if try_lock(segment.descriptor):
                if segment.is_ours(directory, nbytes):
                    self._busy[segment.inode] = segment
                    return segment
                segment.close()
            else:
                self._put_back(segment)
        return None

    def create(self, directory: Directory, nbytes: int) -> Segment:
        """Make a new segment for an object; errors as of `Segment.create`."""
        segment = Segment.create(directory, nbytes)
        self._busy[segment.inode] = segment
        return segment

    def keep(self, segment: Segment, most_bytes: int) -> None:
        """Unlock a segment and keep it for the next put, if it is worth its descriptor; the oldest give way."""
        unlock(segment.descriptor)
        self._busy.pop(segment.inode, None)
        # Without a name it is of no use: the object was there already, or something failed.
        if not segment.is_mapped or segment.capacity > most_bytes or segment.is_gone():
            segment.close()
            return
        self._put_back(segment)
        room = most_bytes - self._bytes()
        for inode in list(self._kept):
            # Whoever takes it out has it for himself: it may be closed, or filled, by one thread only.
            kept = self._kept.pop(inode, None)
            if kept is None:
                continue
            # Evicted by another process that had no room for it: our mapping alone keeps its memory.
            if (room < 0 or len(self._kept) >= MOST_KEPT or kept.is_gone()) and kept is not segment:
                room += kept.capacity
                kept.close()
            else:
                self._put_back(kept)

    def is_busy(self, segment: Segment) -> bool:
        """Tell whether a segment is still locked, to be filled: `keep` has not been called, or not got far."""
        return segment.inode in self._busy

    def release(self, directory: Directory, key: str, found: os.stat_result, most_bytes: int) -> bool:
        """Turn an object's segment into a free one; False if there is no room for it, or no object.

        Readers that have it mapped keep it as it is: it is not used again before they are gone.
        """
        if not self._make_room(directory, found.st_size, most_bytes):
            return False
        name = f"{FREE_DIRECTORY}/{time.monotonic_ns():016x}-{found.st_ino:x}-{found.st_size:x}"
        where = directory.descriptor
        for _ in range(2):
            try:
                os.rename(key, name, src_dir_fd=where, dst_dir_fd=where)
            except FileNotFoundError:
                _make_directory(directory)
            else:
                return True
        return False

    def drop(self, directory: Directory) -> None:
        """Give all free memory back to the system."""
        self.let_go()
        for free in free_segments(directory):
            _unlink(directory, free)

    def let_go(self) -> bool:
        """Close what this process keeps open, without removing anything; tell whether there was something."""
        count = 0
        for inode in list(self._kept):
            segment = self._kept.pop(inode, None)
            if segment is not None:
                segment.close()
                count += 1
        return bool(count)

    def forget(self) -> None:
        """Let go of what a forked child inherited: with it the child would hold the parent's locks."""
        inherited = [*self._kept.values(), *self._busy.values()]
        self.__init__()  # type: ignore[misc]
        for segment in inherited:
            segment.forget()

    def _put_back(self, segment: Segment) -> None:
        held = self._kept.setdefault(segment.inode, segment)
        if held is not segment:  # meanwhile another thread opened it anew, used it and kept it
            segment.close()

    def _bytes(self) -> int:
        return sum(segment.capacity for segment in list(self._kept.values()))

    def _make_room(self, directory: Directory, nbytes: int, most_bytes: int) -> bool:
        if nbytes > most_bytes:
            return False
        present = sorted(free_segments(directory), key=lambda free: free.since)
        total = sum(free.capacity for free in present)
        while present and (total + nbytes > most_bytes or len(present) >= MOST_FREE):
            oldest = present.pop(0)
            if not _unlink(directory, oldest):
                return False
            total -= oldest.capacity
            segment = self._kept.pop(oldest.inode, None)
            if segment is not None:
                segment.close()
        return True


def free_segments(directory: Directory) -> list[Free]:
    """List the free segments of a space."""
    try:
        descriptor = open_in(directory, FREE_DIRECTORY, _DIRECTORY)
    except FileNotFoundError:
        return []
    try:
        names = os.listdir(descriptor)  # noqa: PTH208  pathlib knows no descriptors
    finally:
        os.close(descriptor)
    found = []
    for name in names:
        fields = name.split("-")
        if len(fields) == _FIELDS:
            try:
                since, inode, capacity = (int(field, 16) for field in fields)
            except ValueError:
                continue
            found.append(Free(f"{FREE_DIRECTORY}/{name}", since, inode, capacity))
    return found


def _make_directory(directory: Directory) -> None:
    with suppress(FileExistsError):
        os.mkdir(FREE_DIRECTORY, 0o700, dir_fd=directory.descriptor)


def _unlink(directory: Directory, free: Free) -> bool:
    """Remove a free segment, unless somebody is filling it; those who read it do not need its name."""
    segment = Segment.adopt(directory, free.name)
    if segment is None:
        return True
    try:
        return try_share(segment.descriptor) and (directory.remove(free.name) or True)
    finally:
        segment.close()
