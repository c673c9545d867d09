"""Use shared memory again: segments that one process at a time fills, and nobody touches while they are read.

A process that holds a segment's lock exclusively may write to it. One that maps it to read holds the lock shared, by
the mapping itself. A segment never shrinks and has no holes: either would kill a process that uses its mapping
(SIGBUS).
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from psk.connectors.arguments import expired
from psk.connectors.directory.directory import CLOEXEC, NO_DESCRIPTORS, NO_FOLLOW, READ_DIRECTORY
from psk.connectors.directory.expiry import NEVER, RECORD_BYTES, record_offset, write_record
from psk.connectors.directory.locks import try_lock, unlock
from psk.connectors.directory.writing import DRAFTS, write_all
from psk.connectors.shm.mapping import HUGE_BYTES, PAGE_BYTES, Mapping
from psk.fork import after_fork_in_child
from psk.wire import ALIGNMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.directory.directory import Directory
    from psk.connectors.directory.expiry import Clock
    from psk.wire import Buffer, Payload

SEGMENT_BYTES: Final = 64 * 1024
"""From here on a file is a segment; smaller ones are quicker copied than mapped."""

LARGEST_COPIED: Final = SEGMENT_BYTES - ALIGNMENT
"""The largest payload that is not put into a segment: with the record of an expiry its file is no larger than that."""

FREE: Final = ".free"
"""The directory of free segments in a space."""

MOST_FREE: Final = 64
"""Free segments of a space: they are listed at each use."""

MOST_KEPT: Final = 8
"""Segments that a process keeps open and mapped after it filled them: each costs a descriptor."""

MOST_REUSED: Final = 1024**3
_SHARE: Final = 4

_SEGMENT_MODE: Final = 0o600  # its owner may write it again
_OPEN: Final = os.O_RDWR | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)
_UNNAMED: Final = getattr(os, "O_TMPFILE", 0) | os.O_RDWR | CLOEXEC
_BLOCK: Final = 512
_FIELDS: Final = 3


class Segment:
    """Hold one segment to write in: its descriptor, and from 2 MiB on its mapping.

    Its descriptor is closed with the last reference, if not before: an interrupt may come at any moment.

    Args:
        directory: The space.
        name: Its name in the space while it is free; empty for a new one, which has none.

    Attributes:
        capacity: Its size in bytes without the record of an expiry, a multiple of the page size.
        is_busy: Whether a thread of this process has it locked, to fill it.

    Raises:
        OSError: It cannot be opened or made.
    """

    __slots__ = ("__weakref__", "capacity", "descriptor", "inode", "is_allocated", "is_busy", "mapping", "name")

    def __init__(self, directory: Directory, name: str = "") -> None:
        self.name = name
        self.is_allocated = bool(name)
        self.is_busy = not name
        self.mapping: Mapping | None = None
        self.descriptor = directory.open(name, _OPEN) if name else directory.open(".", _UNNAMED, _SEGMENT_MODE)
        found = os.fstat(self.descriptor)
        self.inode = found.st_ino
        self.capacity = found.st_size // PAGE_BYTES * PAGE_BYTES
        after_fork_in_child(self, Segment.forget)

    @classmethod
    def create(cls, directory: Directory, nbytes: int) -> Segment:
        """Make a segment without a name: a process that is killed now leaves nothing, and nobody can find it.

        It has its size, and gets its memory by `fill` or `allocate`.

        Raises:
            OSError: No room, or a limit of a file's size.
        """
        capacity = whole_pages(nbytes)
        free = os.fstatvfs(directory.descriptor)
        if capacity > free.f_bavail * free.f_frsize:
            # Seen before it is tried: trying would take away, for a while, what others could have.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment = cls(directory)
        os.truncate(segment.descriptor, capacity)
        segment.capacity = capacity
        return segment

    @classmethod
    def adopt(cls, directory: Directory, name: str) -> Segment | None:
        """Open a free segment that another process left, or this one does not hold any more; None if it is gone."""
        try:
            return cls(directory, name)
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
                raise
            return None

    def is_ours(self, directory: Directory, nbytes: int) -> bool:
        """Tell whether it may be written, its lock being held: free, with no other name, and whole.

        Between finding the name and getting the lock another process may have used it. One that was killed between
        placing it and removing its free name left both: then it is an object.
        """
        own = os.fstat(self.descriptor)
        if not self.name or own.st_size < whole_pages(nbytes) or own.st_blocks * _BLOCK < own.st_size:
            return False
        named = directory.stat(self.name)
        if named is None or named.st_ino != own.st_ino:
            return False
        if own.st_nlink > 1:
            directory.remove(self.name)  # what the killed process had left to do
            return False
        return True

    def name_free(self, directory: Directory) -> None:
        """Give a new segment the name of a free one, so that other processes count it.

        Its lock is held, so nobody takes it. If this process dies, it is an ordinary free segment.
        """
        try_lock(self.descriptor)
        name = free_name(self.inode, self.capacity)
        try:
            os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=directory.descriptor)
        except FileNotFoundError:
            make_free_directory(directory)
            os.link(f"/proc/self/fd/{self.descriptor}", name, dst_dir_fd=directory.descriptor)
        self.name = name

    def allocate(self) -> None:
        """Get all of its memory and map it.

        Raises:
            OSError: No room.
        """
        if not self.is_allocated:
            if self.mapping is None:
                self._collapse()
            # A hole would kill a process that writes into the mapping: now all of it is there, or this says no.
            os.posix_fallocate(self.descriptor, 0, self.capacity)
            self.is_allocated = True
        if self.mapping is None:
            self.mapping = Mapping(self.descriptor, self.capacity, shared=True)

    def fill(self, payload: Payload, nbytes: int, deadline: float) -> None:
        """Write a payload of `nbytes` bytes from the segment's start on.

        Raises:
            OSError: It does not fit.
            DeadlineError: Time was up.
        """
        if self.capacity >= HUGE_BYTES and (self.is_allocated or self._collapse()):
            self.allocate()
        mapping = self.mapping
        if mapping is None:
            # Into small pages; without huge pages that is quicker than the page faults of a mapping.
            write_all(self.descriptor, payload, nbytes, deadline)
        else:

            def write(buffers: Sequence[Buffer], offset: int) -> None:
                expired(deadline, "writing an object")
                mapping.write(buffers, offset)

            payload.write_to(write)
        self.is_allocated = True

    def place(self, directory: Directory, key: str, expires: int | None, clock: Clock) -> bool:
        """Make it the object of a key, unless the key has one.

        By a link, which never replaces; its free name goes afterwards. The lock goes last, so that nobody can take
        it for a free segment in between; a reader that comes meanwhile tries again.
        """
        # A segment that was used before may have the record of its last object.
        if expires is not None or os.fstat(self.descriptor).st_size != self.capacity:
            write_record(self.descriptor, self.capacity, clock.kind, NEVER if expires is None else expires)
        where = directory.descriptor
        try:
            if self.name:
                os.link(self.name, key, src_dir_fd=where, dst_dir_fd=where, follow_symlinks=False)
            else:
                os.link(f"/proc/self/fd/{self.descriptor}", key, dst_dir_fd=where)
        except FileExistsError:
            return False
        if self.name:
            directory.remove(self.name)
            self.name = ""
        return True

    def is_gone(self) -> bool:
        """Tell whether it has no name left, so that keeping it only keeps memory from others."""
        return not os.fstat(self.descriptor).st_nlink

    def close(self) -> None:
        """Let go of it."""
        descriptor = self.descriptor
        if descriptor >= 0:
            unlock(descriptor)
        self.forget()

    def forget(self) -> None:
        """Let go of it in a forked child, where its lock is still the parent's and must stay."""
        if self.mapping is not None:
            with suppress(BufferError):  # views remain: it is unmapped with the last one
                self.mapping.close()
        with suppress(OSError):
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    def __del__(self) -> None:
        with suppress(AttributeError):  # the instance may be half made
            if self.descriptor >= 0:  # lost to an interrupt
                self.forget()

    def _collapse(self) -> bool:
        """Map it in huge pages; False if it is too small for them, or the kernel has none."""
        huge = self.capacity // HUGE_BYTES * HUGE_BYTES
        if not huge:
            return False
        for start in range(0, huge, HUGE_BYTES):
            os.pwrite(self.descriptor, b"\0", start)  # an extent without any page is not collapsed
        mapping = Mapping(self.descriptor, self.capacity, shared=True)
        try:
            mapping.collapse(huge)
        except OSError:
            mapping.close()
            return False
        self.mapping = mapping
        return True


class Free(NamedTuple):
    """The facts in the name of a free segment: a hint, which is checked when the segment is taken."""

    name: str
    since: int
    inode: int
    capacity: int


class Pool:
    """Find, keep and drop the free segments of one space."""

    __slots__ = ("__weakref__", "_kept")

    def __init__(self) -> None:
        # Changed by single dictionary operations, which are atomic: there is no lock that a finaliser or a signal
        # handler, which may come in between, could find held.
        self._kept: dict[int, Segment] = {}
        after_fork_in_child(self, Pool.forget)

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
                    segment.is_busy = True
                    return segment
                segment.close()
            else:
                self._put_back(segment)
        return None

    def keep(self, directory: Directory, segment: Segment, most_bytes: int) -> None:
        """Unlock a segment and keep it for the next put, if it is worth its descriptor; the oldest give way."""
        if segment.name and (segment.capacity > most_bytes or not segment.is_allocated):
            directory.remove(segment.name)
        unlock(segment.descriptor)
        segment.is_busy = False
        # Without a name it is of no use: the object was there already, or something failed.
        if segment.mapping is None or segment.capacity > most_bytes or segment.is_gone():
            segment.close()
            return
        self._put_back(segment)
        room = most_bytes - sum(kept.capacity for kept in list(self._kept.values()))
        for inode in list(self._kept):
            # The thread that takes it out has it for itself: only one may close or fill it.
            kept = self._kept.pop(inode, None)
            if kept is None:
                continue
            # Evicted by another process that had no room for it: our mapping alone keeps its memory.
            if (room < 0 or len(self._kept) >= MOST_KEPT or kept.is_gone()) and kept is not segment:
                room += kept.capacity
                kept.close()
            else:
                self._put_back(kept)

    def release(self, directory: Directory, key: str, found: os.stat_result, most_bytes: int) -> bool:
        """Turn an object's segment into a free one; False if there is no room for it, or no object.

        Readers that have it mapped keep it as it is: it is not used again before they are gone.
        """
        if not self._make_room(directory, found.st_size, most_bytes):
            return False
        name, where = free_name(found.st_ino, found.st_size), directory.descriptor
        for _ in range(2):
            try:
                os.rename(key, name, src_dir_fd=where, dst_dir_fd=where)
            except FileNotFoundError:
                make_free_directory(directory)
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
        found = False
        for inode in list(self._kept):
            segment = self._kept.pop(inode, None)
            if segment is not None:
                segment.close()
                found = True
        return found

    def forget(self) -> None:
        """Keep nothing in a forked child: each segment has let go of its file there."""
        self._kept = {}

    def _put_back(self, segment: Segment) -> None:
        held = self._kept.setdefault(segment.inode, segment)
        if held is not segment:  # meanwhile another thread opened it again, used it and kept it
            segment.close()

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


class Filling:
    """A segment that this process fills, until it is an object or free again; it is a `Memory` of its directory.

    Args:
        directory: The space.
        pool: Its pool.
        segment: The segment.
        most_bytes: What free segments may have together.
    """

    __slots__ = ("_directory", "_mapping", "_most_bytes", "_pool", "descriptor", "segment", "view")

    view: memoryview

    def __init__(self, directory: Directory, pool: Pool, segment: Segment, most_bytes: int) -> None:
        self._directory = directory
        self._pool = pool
        self._most_bytes = most_bytes
        self._mapping: Mapping | None = None  # of which others may have views
        self.segment = segment
        self.descriptor = segment.descriptor

    def map(self) -> None:
        """Get all its memory as `view`; errors as of `Segment.allocate`."""
        self.segment.allocate()
        self._mapping = self.segment.mapping
        if self._mapping is not None:
            self.view = self._mapping.view

    def unmap(self) -> None:
        """Give up the view; BufferError if anything still uses it."""
        if self._mapping is not None:
            self.segment.mapping = None  # first: after an interrupt nobody may find it closed
            try:
                self._mapping.close()
            except BufferError:
                self.view = self._mapping.view
                raise
            self._mapping = None

    def finish(self, name: str, nbytes: int, expires: int | None, clock: Clock, *, durable: bool) -> bool:  # noqa: ARG002  a segment may be longer than its object, and memory is never durable
        """Give it its name; see `Draft.finish`."""
        return self.segment.place(self._directory, name, expires, clock)

    def close(self) -> None:
        """Let go of it, whether it became an object or not."""
        try:
            self.unmap()
        except BufferError:  # what is written through views that remain must not reach a later object
            if self.segment.name:
                self._directory.remove(self.segment.name)
        try:
            self._pool.keep(self._directory, self.segment, self._most_bytes)
        except BaseException:
            if self.segment.is_busy:  # an interrupt, but nobody could read the object while it is locked
                self._pool.keep(self._directory, self.segment, self._most_bytes)
            raise

    def forget(self) -> None:
        """Let go of it in a forked child, where it is still the parent's."""
        self.segment.forget()


def whole_pages(nbytes: int) -> int:
    """Return how much memory so many bytes of a file use: the size of a segment for them."""
    return -(-nbytes // PAGE_BYTES) * PAGE_BYTES


def may_be_file_of(nbytes: int, size: int) -> bool:
    """Tell whether an object of `nbytes` bytes may have a longer file, of `size` bytes: by a record, or whole pages.

    Only a large object has whole pages, at most twice what it needs; what follows the object there has no meaning.
    """
    if size == record_offset(nbytes) + RECORD_BYTES:
        return True
    in_pages = nbytes > LARGEST_COPIED and size % PAGE_BYTES in {0, RECORD_BYTES}
    return in_pages and nbytes <= size <= 2 * whole_pages(nbytes)


def most_reused(directory: Directory) -> int:
    """Return what free segments may have together if no option says so."""
    found = os.fstatvfs(directory.descriptor)
    return min(MOST_REUSED, found.f_blocks * found.f_frsize // _SHARE)


def used_bytes(directory: Directory) -> int:
    """Return the memory of a space: of its objects, its free segments, and what is allocated and not an object yet."""
    sizes = {}
    # By inode, and in this order: what is renamed meanwhile, to become an object or free, is counted once.
    for place in (DRAFTS, FREE, ".", FREE):
        try:
            descriptor = directory.open(place, READ_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # evicted meanwhile
                        if entry.is_file(follow_symlinks=False):
                            sizes[entry.inode()] = whole_pages(entry.stat(follow_symlinks=False).st_size)
        finally:
            os.close(descriptor)
    return sum(sizes.values())


def free_name(inode: int, capacity: int) -> str:
    """Return the name of a segment that is free from now on."""
    return f"{FREE}/{time.monotonic_ns():016x}-{inode:x}-{capacity:x}"


def make_free_directory(directory: Directory) -> None:
    """Make the directory of free segments."""
    with suppress(FileExistsError):
        os.mkdir(FREE, 0o700, dir_fd=directory.descriptor)


def free_segments(directory: Directory) -> list[Free]:
    """List the free segments of a space."""
    try:
        descriptor = directory.open(FREE, READ_DIRECTORY)
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
            with suppress(ValueError):
                since, inode, capacity = (int(field, 16) for field in fields)
                found.append(Free(f"{FREE}/{name}", since, inode, capacity))
    return found


def _unlink(directory: Directory, free: Free) -> bool:
    """Remove a free segment, unless a process is filling it; processes that read it do not need its name."""
    segment = Segment.adopt(directory, free.name)
    if segment is None:
        return True
    try:
        is_free = bool(try_lock(segment.descriptor, shared=True))
        if is_free:
            directory.remove(free.name)
        return is_free
    finally:
        segment.close()
