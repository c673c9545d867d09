"""Write a file that appears whole or not at all: without a name first, then named by one atomic step."""

from __future__ import annotations

import errno
import mmap
import os
import re
import stat
from _thread import allocate_lock
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from psk.connectors.arguments import expired
from psk.connectors.directory.directory import CLOEXEC, NO_FOLLOW, READ, READ_DIRECTORY, RENEWABLE_MODE, open_at, sync
from psk.connectors.directory.expiry import record_offset, write_record
from psk.connectors.directory.locks import try_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk.connectors.directory.directory import Directory
    from psk.connectors.directory.expiry import Clock
    from psk.wire import Buffer, Payload

PERMANENT_MODE: Final = 0o400
"""The mode of a file that needs no changes; it has no other meaning."""

DRAFTS: Final = ".drafts"
"""The directory of files that are being written under a name, so that a sweep looks at nothing but these."""

ABANDONED_NANOSECONDS: Final = 3600 * 1_000_000_000
"""Age of an abandoned draft where no lock proves that its writer is dead: on network file systems."""

PARALLEL_BYTES: Final = 4 * 1024 * 1024
"""From here on several threads sum and write, and look at the clock in between."""

_is_draft_name = re.compile(r"[0-9a-f]{24}").fullmatch
_GROUP: Final = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16
_UNNAMED: Final = getattr(os, "O_TMPFILE", 0) | os.O_RDWR | CLOEXEC
_NAMED: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | NO_FOLLOW
_NOT_SUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})


class Memory(Protocol):
    """Memory of a channel that becomes the object of a key: a `Draft`, or a segment of shared memory."""

    descriptor: int
    """Of its file."""

    view: memoryview
    """All of it, until `unmap`."""

    def unmap(self) -> None:
        """Give up the view; BufferError if anything still uses it."""
        ...

    def finish(self, name: str, nbytes: int, expires: int | None, clock: Clock, *, durable: bool) -> bool:
        """Give it its name; see `Draft.finish`."""
        ...

    def close(self) -> None:
        """Let go of it, whether it became an object or not."""
        ...

    def forget(self) -> None:
        """Let go of it in a forked child, where it is still the parent's."""
        ...


class Draft:
    """A file that is being written, and that no reader can find yet.

    It has no name where the file system can do that, and a process that is killed leaves nothing. Else it has a
    name in the directory of drafts, and is swept once no process holds its lock.

    To be closed in a `finally`, also if `open` did not return: an interrupt may come at once after it.

    Args:
        directory: Where it will get its name.
    """

    __slots__ = ("_drafts", "_memory", "_mode", "_temporary", "descriptor", "directory", "view")

    view: memoryview

    def __init__(self, directory: Directory) -> None:
        self.descriptor = self._drafts = -1
        self.directory = directory
        self._mode = RENEWABLE_MODE
        self._temporary = ""
        self._memory: mmap.mmap | None = None
        self.view = memoryview(b"")

    def open(self, mode: int, *, named: bool = False) -> None:
        """Open it.

        Args:
            mode: The mode that it will most likely have.
            named: Whether it must have a name, so that other processes can count it.
        """
        if self.directory.has_unnamed and not named:
            try:
                self.descriptor = self.directory.open(".", _UNNAMED, mode)
            except OSError as error:
                if error.errno not in _NOT_SUPPORTED:
                    raise
                self.directory.has_unnamed = False
            else:
                self._mode = mode
                return
        self._open_named()

    def map(self, nbytes: int) -> None:
        """Give it memory and map that as `view`.

        The file system's room is taken now: without room for a page, writing to a mapping would kill the process.
        """
        os.posix_fallocate(self.descriptor, 0, nbytes)
        self._memory = mmap.mmap(self.descriptor, nbytes)
        self.view = memoryview(self._memory)

    def finish(self, name: str, nbytes: int, expires: int | None, clock: Clock, *, durable: bool) -> bool:
        """Give the file its name, unless the name is taken.

        Args:
            name: The final name.
            nbytes: How much was written.
            expires: When it expires, by the clock; None if it never does.
            clock: That clock.
            durable: Whether file and name must have reached the disk at the return.

        Returns:
            True if the name is now this file's; False if another file has it.
        """
        if expires is not None:
            write_record(self.descriptor, record_offset(nbytes), clock.kind, expires)
        mode = PERMANENT_MODE if expires is None else RENEWABLE_MODE
        if mode != self._mode:
            os.fchmod(self.descriptor, mode)
        if durable:
            sync(self.descriptor)
        source = self._temporary or f"/proc/self/fd/{self.descriptor}"
        # A link never replaces. With a descriptor for the target and a path in /proc for the source, `os.link` calls
        # linkat with AT_SYMLINK_FOLLOW, which is how open(2) says to name a file that has no name.
        try:
            if self._temporary:
                where = self.directory.descriptor
                os.link(source, name, src_dir_fd=self._drafts, dst_dir_fd=where, follow_symlinks=False)
            else:
                os.link(source, name, dst_dir_fd=self.directory.descriptor)
        except FileExistsError:
            return False
        if durable:
            sync(self.directory.descriptor)
        return True

    def unmap(self) -> None:
        """Give up the view; BufferError if anything still uses it."""
        if self._memory is not None:
            if not self.directory.is_local:
                self._memory.flush()  # or other hosts would not see yet what was written through the mapping
            self.view.release()
            try:
                self._memory.close()
            except BufferError:
                self.view = memoryview(self._memory)
                raise
            self._memory = None

    def close(self) -> None:
        """Close it; without a final name nothing is left of it."""
        self.remove_temporary()
        self.forget()

    def remove_temporary(self) -> None:
        """Remove its temporary name, if it has one."""
        if self._temporary:
            with suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._drafts)
            self._temporary = ""
            with suppress(OSError):
                descriptor, self._drafts = self._drafts, -1
                os.close(descriptor)

    def forget(self) -> None:
        """Close it in a forked child, where the file is still the parent's."""
        if self._memory is not None:
            with suppress(BufferError):  # views remain: it is unmapped with the last one
                self.view.release()
                self._memory.close()
        # The interpreter looks for signals after a call, so an interrupt cannot come between the two lines.
        with suppress(OSError):
            descriptor, self._drafts = self._drafts, -1
            os.close(descriptor)
        with suppress(OSError):
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)

    def _open_named(self) -> None:
        """Open it under a temporary name, and hold its lock."""
        while True:
            self._drafts = open_drafts(self.directory, create=True)
            self._temporary = os.urandom(12).hex()
            try:
                # Writable until it is complete: some network file systems lock only what they may write.
                self.descriptor = open_at(self._drafts, self._temporary, _NAMED, RENEWABLE_MODE)
                # A sweeper may have found the name in the instant before it was locked.
                if try_lock(self.descriptor) is not False and os.fstat(self.descriptor).st_nlink:
                    return
            except FileNotFoundError:  # another process has just removed the empty directory of drafts
                self._temporary = ""
                self.forget()
                continue
            except BaseException:
                self.close()
                raise
            self.close()


class HeldDraft(Draft):
    """A draft that outlives the call that makes it, and that is closed with its last reference.

    An interrupt may lose it before anything else can close it. Its temporary name is swept, since its lock is free.
    """

    __slots__ = ()

    def __del__(self) -> None:
        with suppress(AttributeError):  # the instance may be half made
            if self.descriptor >= 0 or self._drafts >= 0:
                self.forget()


def open_drafts(directory: Directory, *, create: bool) -> int:
    """Open the directory of drafts, but not through a link in its place.

    Raises:
        OSError: It is something else, or is missing and must not be made.
    """
    if create:
        with suppress(FileExistsError):
            os.mkdir(DRAFTS, 0o700, dir_fd=directory.descriptor)
    return directory.open(DRAFTS, READ_DIRECTORY | NO_FOLLOW)


def place(
    directory: Directory,
    name: str,
    content: Payload | list[Buffer],
    nbytes: int,
    *,
    ttl: float | None,
    clock: Clock,
    durable: bool,
    deadline: float,
) -> bool:
    """Write a file and give it its name, unless the name is taken.

    Args:
        directory: Where.
        name: The final name.
        content: What to write: a payload, or buffers back to back.
        nbytes: Its length.
        ttl: Seconds until it expires, from when it is complete; None for never.
        clock: The clock that counts them.
        durable: Whether file and name must have reached the disk at the return.
        deadline: When to give up, by `time.monotonic`.

    Returns:
        True if the name is now this file's; False if another file has it.

    Raises:
        OSError: The file system refused; nothing is left behind.
        DeadlineError: Time was up; nothing is left behind.
    """
    if directory.has_unnamed and ttl is None and not durable:
        placed = _place_unnamed(directory, name, content, nbytes, deadline)
        if placed is not None:
            return placed
    draft = Draft(directory)
    try:
        draft.open(PERMANENT_MODE if ttl is None else RENEWABLE_MODE)
        write_all(draft.descriptor, content, nbytes, deadline)
        expires = None if ttl is None else clock.after(directory, ttl)
        return draft.finish(name, nbytes, expires, clock, durable=durable)
    finally:
        try:
            draft.remove_temporary()
        finally:
            descriptor, draft.descriptor = draft.descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)  # here: an interrupt may come at the start of any method


def _place_unnamed(
    directory: Directory, name: str, content: Payload | list[Buffer], nbytes: int, deadline: float
) -> bool | None:
    """Do what most calls of `place` need, without a `Draft`; None if the file system has no files without a name."""
    descriptor = -1
    try:
        descriptor = directory.open(".", _UNNAMED, PERMANENT_MODE)
        write_all(descriptor, content, nbytes, deadline)
        os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory.descriptor)
    except FileExistsError:
        return False
    except OSError as error:
        if descriptor >= 0 or error.errno not in _NOT_SUPPORTED:
            raise
        directory.has_unnamed = False
        return None
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return True


def write_all(descriptor: int, content: Payload | list[Buffer], nbytes: int, deadline: float) -> None:
    """Write a payload of `nbytes` bytes, or buffers back to back, however many and however long they are."""
    if type(content) is list:
        buffers = content
    elif nbytes >= PARALLEL_BYTES:
        content.write_to(_Turns(descriptor, deadline).write)  # type: ignore[union-attr]  # no list
        return
    else:
        buffers = content.buffers()  # type: ignore[union-attr]  # as above
    if len(buffers) > _GROUP or os.writev(descriptor, buffers) != nbytes:
        _write_at(descriptor, deadline, [buffer for buffer in buffers if len(buffer)], 0)


class _Turns:
    """Write the parts of a file from one thread at a time: the kernel would have the others wait, but they can sum."""

    __slots__ = ("_deadline", "_descriptor", "_parts", "_turn")

    def __init__(self, descriptor: int, deadline: float) -> None:
        self._descriptor = descriptor
        self._deadline = deadline
        self._parts: deque[tuple[Sequence[Buffer], int]] = deque()
        self._turn = allocate_lock()

    def write(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Write a part, and those of other threads; leave it to the thread that writes if there is one."""
        self._parts.append((buffers, offset))
        if self._turn.acquire(blocking=False):
            try:
                while self._parts:
                    _write_at(self._descriptor, self._deadline, *self._parts.popleft())
            finally:
                self._turn.release()


def _write_at(descriptor: int, deadline: float, buffers: Sequence[Buffer], offset: int) -> None:
    """Write buffers, none of them empty, back to back at an offset of a file."""
    while buffers:
        expired(deadline, "writing an object")
        written = os.pwritev(descriptor, buffers[:_GROUP], offset)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += written
        buffers = _skipped(buffers, written)


def _skipped(buffers: Sequence[Buffer], count: int) -> list[Buffer]:
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []


def sweep_drafts(directory: Directory, clock: Clock) -> Iterator[None]:
    """Remove the drafts of dead writers; yields after each look at one."""
    try:
        drafts = open_drafts(directory, create=False)
    except OSError:
        return  # mostly there are none
    try:
        for name in filter(_is_draft_name, os.listdir(drafts)):  # noqa: PTH208  pathlib knows no descriptors
            yield
            with suppress(OSError):
                _sweep_draft(directory, clock, drafts, name)
    finally:
        os.close(drafts)


def _sweep_draft(directory: Directory, clock: Clock, drafts: int, name: str) -> None:
    descriptor = open_at(drafts, name, READ)
    try:
        ours = try_lock(descriptor)
        found = os.fstat(descriptor)
        if ours is False:  # its writer lives
            return
        # Where locks may not hold between hosts, a free one proves nothing about a writer elsewhere.
        is_dead = ours and directory.is_local
        if not stat.S_ISREG(found.st_mode):
            return
        if is_dead or clock.now(directory) - found.st_mtime_ns > ABANDONED_NANOSECONDS:
            os.unlink(name, dir_fd=drafts)
    finally:
        try:
            unlock(descriptor)
        finally:
            os.close(descriptor)
