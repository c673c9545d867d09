"""What is a segment? A file in memory that one writer at a time fills, and that nobody touches while it is read.

Whoever holds its lock exclusively may write; whoever maps it holds the lock shared, through the mapping itself. A
segment never shrinks and has no holes: either would kill a process that uses its mapping (SIGBUS).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import expired
from psk.connectors.file.directory import open_in
from psk.connectors.file.writing import open_unnamed, write_all
from psk.connectors.shm.expiry import set_expiry
from psk.connectors.shm.locks import share_nothing, unlock
from psk.connectors.shm.mapping import HUGE_BYTES, PAGE_BYTES, Mapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.file.directory import Directory
    from psk.wire import Buffer

SEGMENT_MODE: Final = 0o600
"""The mode of a segment, which its owner may write again."""

STEP_BYTES: Final = 4 * 1024 * 1024
"""How much is copied between two looks at the clock, and two chances for other threads."""

FREE_DIRECTORY: Final = ".free"

_OPEN: Final = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BLOCK: Final = 512


class Segment:
    """Hold one segment to write in: its descriptor, and from 2 MiB on its mapping.

    Args:
        descriptor: The open file; this object closes it.
        capacity: Its size in bytes without the record of an expiry, a multiple of the page size.
        name: Its name in the space while it is free; None for a new one, which has none.
    """

    __slots__ = ("_mapping", "capacity", "descriptor", "inode", "name")

    def __init__(self, descriptor: int, capacity: int, name: str | None) -> None:
        self.descriptor = descriptor
        self.capacity = capacity
        self.name = name
        self.inode = os.fstat(descriptor).st_ino
        self._mapping: Mapping | None = None

    @classmethod
    def create(cls, directory: Directory, nbytes: int) -> Segment:
        """Make a segment without a name: a process that is killed now leaves nothing, and nobody can find it.

        Raises:
            OSError: No room, or a limit of a file's size.
        """
        capacity = whole_pages(nbytes)
        free = os.fstatvfs(directory.descriptor)
        if capacity > free.f_bavail * free.f_frsize:
            # Seen before it is tried: trying would take away, for a while, what others could have.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        descriptor = open_unnamed(directory, SEGMENT_MODE)
        try:
            self = cls(descriptor, capacity, None)
            if capacity >= HUGE_BYTES:
                self._allocate_huge()
        except BaseException:
            os.close(descriptor)
            raise
        return self

    @classmethod
    def adopt(cls, directory: Directory, name: str) -> Segment | None:
        """Open a free segment that another process left, or this one does not hold any more; None if it is gone."""
        try:
            descriptor = open_in(directory, name, _OPEN)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise
            return None
        try:
            return cls(descriptor, os.fstat(descriptor).st_size // PAGE_BYTES * PAGE_BYTES, name)
        except BaseException:
            os.close(descriptor)
            raise

    def is_ours(self, directory: Directory, nbytes: int) -> bool:
        """Tell whether it may be written, its lock being held: free, with no other name, and whole.

        Between finding the name and getting the lock another process may have used it. One that was killed between
        placing it and removing its free name left both: then it is an object.
        """
        own = os.fstat(self.descriptor)
        if self.name is None or own.st_size < whole_pages(nbytes) or own.st_blocks * _BLOCK < own.st_size:
            return False
        try:
            named = os.stat(self.name, dir_fd=directory.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if named.st_ino != own.st_ino:
            return False
        if own.st_nlink > 1:
            directory.remove(self.name)  # what the killed one had left to do
            return False
        return True

    def fill(self, buffers: Sequence[Buffer], nbytes: int, deadline: float) -> None:
        """Write a payload from the segment's start on.

        Raises:
            OSError: A new segment below 2 MiB does not fit.
            DeadlineError: Time was up.
        """
        if self._mapping is None and self.capacity >= HUGE_BYTES and self.name is not None:
            self._mapping = Mapping(self.descriptor, self.capacity, shared=True)
        if self._mapping is None:
            write_all(self.descriptor, buffers, nbytes, deadline)
            if self.name is None:
                os.truncate(self.descriptor, self.capacity)  # within the last page: this makes no hole
            return
        target = self._mapping.view
        end = 0
        for buffer in buffers:
            source = memoryview(buffer)
            for start in range(0, len(source), STEP_BYTES):
                part = source[start : start + STEP_BYTES]
                target[end : end + len(part)] = part
                end += len(part)
                if len(part) == STEP_BYTES:
                    expired(deadline, "writing an object")

    def place(self, directory: Directory, key: str, ttl: float | None) -> bool:
        """Make it the object of a key, unless there is one; its time begins now, however long the filling took.

        By a link, which never replaces; its free name goes afterwards. The lock goes last, so that nobody can take
        it for a free segment in between; a reader who comes meanwhile tries again.
        """
        # A segment that was used before may have the record of its last object.
        set_expiry(self.descriptor, os.fstat(self.descriptor).st_size, self.capacity, ttl)
        where = directory.descriptor
        try:
            if self.name is None:
                os.link(f"/proc/self/fd/{self.descriptor}", key, dst_dir_fd=where)
            else:
                os.link(self.name, key, src_dir_fd=where, dst_dir_fd=where, follow_symlinks=False)
        except FileExistsError:
            return False
        if self.name is not None:
            directory.remove(self.name)
            self.name = None
        return True

    @property
    def is_mapped(self) -> bool:
        """Whether writing it again is cheaper through this object than through a new one."""
        return self._mapping is not None

    def is_gone(self) -> bool:
        """Tell whether it has no name left, so that keeping it only keeps memory from others."""
        return not os.fstat(self.descriptor).st_nlink

    def close(self) -> None:
        """Let go of it."""
        if self._mapping is not None:
            self._mapping.close()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            unlock(descriptor)
            os.close(descriptor)

    def forget(self) -> None:
        """Let go of it in a forked child, where its lock is still the parent's and must stay."""
        if self._mapping is not None:
            self._mapping.close()
        share_nothing(self.descriptor)

    def _allocate_huge(self) -> None:
        """Get memory in huge pages; without them `fill` writes, which makes small ones."""
        huge = self.capacity // HUGE_BYTES * HUGE_BYTES
        os.truncate(self.descriptor, self.capacity)
        for start in range(0, huge, HUGE_BYTES):
            os.pwrite(self.descriptor, b"\0", start)  # an extent without any page is not collapsed
        mapping = Mapping(self.descriptor, self.capacity, shared=True)
        try:
            mapping.collapse(huge)
        except OSError:
            mapping.close()
            return
        # A hole would kill whoever writes into the mapping: now all of it is there, or this says that it is not.
        os.posix_fallocate(self.descriptor, 0, self.capacity)
        self._mapping = mapping


def whole_pages(nbytes: int) -> int:
    """Return how much memory so many bytes of a file use: the size of a segment for them."""
    return -(-nbytes // PAGE_BYTES) * PAGE_BYTES
