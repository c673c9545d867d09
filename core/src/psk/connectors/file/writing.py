"""How does a file appear whole or not at all? Written without a name, and named by one atomic step."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import expired
from psk.connectors.file.directory import open_in, sync
from psk.connectors.file.expiry import record_offset, write_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.file.directory import Directory
    from psk.connectors.file.expiry import Clock
    from psk.wire import Buffer

PERMANENT_MODE: Final = 0o400
"""The mode of a file that nobody needs to change; it says nothing else."""

RENEWABLE_MODE: Final = 0o600
"""The mode of a file whose expiry may be renewed."""

TEMPORARY_PREFIX: Final = ".tmp-"
STEP_BYTES: Final = 32 * 1024 * 1024
"""How much is written between two looks at the clock."""

_GROUP: Final = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 16
_CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
_UNNAMED: Final = getattr(os, "O_TMPFILE", 0) | os.O_RDWR | _CLOEXEC
_NAMED: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | _CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
_NOT_SUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})


def place(
    directory: Directory,
    name: str,
    buffers: Sequence[Buffer],
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
        buffers: What to write, back to back.
        nbytes: Their total length.
        ttl: Seconds until it expires, from when it is complete; None for never.
        clock: The clock that counts them.
        durable: Whether file and name must have reached the disk at the return.
        deadline: When to give up, by `time.monotonic`.

    Returns:
        True if the name is now this file's; False if something had it before.

    Raises:
        OSError: The file system refused; nothing is left behind.
        DeadlineError: Time was up; nothing is left behind.
    """
    mode = PERMANENT_MODE if ttl is None else RENEWABLE_MODE
    descriptor, temporary = open_temporary(directory, mode)
    try:
        write_all(descriptor, buffers, nbytes, deadline)
        if ttl is not None:
            write_record(descriptor, record_offset(nbytes), clock.kind, clock.after(directory, ttl))
        if temporary is not None:
            os.fchmod(descriptor, mode)
        if durable:
            sync(descriptor)
        try:
            if not _link(directory, descriptor, temporary, name):
                return False
        except FileNotFoundError:
            if temporary is not None or not directory.is_there():
                raise
            # No /proc here: the file cannot be named by its descriptor.
            directory.has_unnamed = False
            return place(directory, name, buffers, nbytes, ttl=ttl, clock=clock, durable=durable, deadline=deadline)
    finally:
        if temporary is not None:
            directory.remove(temporary)
        os.close(descriptor)
    if durable:
        directory.sync()
    return True


def _link(directory: Directory, descriptor: int, temporary: str | None, name: str) -> bool:
    try:
        if temporary is None:
            # Given a descriptor for the target, this is linkat with AT_SYMLINK_FOLLOW: see open(2).
            os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=directory.descriptor)
        else:
            os.link(
                temporary,
                name,
                src_dir_fd=directory.descriptor,
                dst_dir_fd=directory.descriptor,
                follow_symlinks=False,
            )
    except FileExistsError:
        return False
    return True


def open_temporary(directory: Directory, mode: int) -> tuple[int, str | None]:
    """Open a file to write, without a name where the file system can; return descriptor and name.

    A process that is killed leaves nothing in the first case, and in the second a name that is swept because
    nobody holds its lock any more.
    """
    if directory.has_unnamed:
        try:
            return open_unnamed(directory, mode), None
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            directory.has_unnamed = False
    return open_named(directory)


def open_unnamed(directory: Directory, mode: int) -> int:
    """Open a file that has no name yet."""
    return open_in(directory, ".", _UNNAMED, mode)


def open_named(directory: Directory) -> tuple[int, str]:
    """Open a file under a temporary name, and hold its lock."""
    from psk.connectors.file.locks import try_lock

    while True:
        name = TEMPORARY_PREFIX + os.urandom(12).hex()
        # Writable until it is complete: some network file systems lock only what they may write.
        descriptor = open_in(directory, name, _NAMED, 0o600)
        try:
            # A sweeper may have found the name in the instant before it was locked.
            if try_lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                return descriptor, name
            directory.remove(name)
        except BaseException:
            directory.remove(name)
            os.close(descriptor)
            raise
        os.close(descriptor)


def write_all(descriptor: int, buffers: Sequence[Buffer], nbytes: int, deadline: float) -> None:
    """Write buffers back to back, however many and however long they are."""
    if nbytes <= STEP_BYTES and len(buffers) <= _GROUP:
        written = os.writev(descriptor, buffers)
        if written == nbytes:
            return
    else:
        written = 0
    rest = _skipped([memoryview(buffer) for buffer in buffers if len(buffer)], written)
    while rest:
        expired(deadline, "writing an object")
        group: list[memoryview] = []
        room = STEP_BYTES
        for view in rest[:_GROUP]:
            group.append(view[:room])
            room -= len(group[-1])
            if not room:
                break
        written = os.writev(descriptor, group)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = _skipped(rest, written)


def _skipped(views: list[memoryview], count: int) -> list[memoryview]:
    for index, view in enumerate(views):
        if count < len(view):
            return [view[count:], *views[index + 1 :]]
        count -= len(view)
    return []
