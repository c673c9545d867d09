"""Lock files and directories with flock(2): the kernel takes the locks of a process that dies."""

from __future__ import annotations

import errno
import os
import time
from _thread import get_ident
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from psk.connectors import deadline_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psk.connectors.directory.directory import Directory

T = TypeVar("T")

FIRST_PAUSE: Final = 0.00005
LONGEST_PAUSE: Final = 0.02

# A network file system without locks, or one that locks only descriptors open for writing.
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL})

# Device and inode of a file, and the thread that locks it -> the descriptor on which it does.
_locking: dict[tuple[int, int, int], int] = {}


def try_lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Lock a file without waiting: exclusively if nobody holds it, or together with other readers.

    Returns:
        True if it is ours now, False if another holds it, None if the file system has no locks.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def unlock(descriptor: int) -> None:
    """Unlock a file, before it is closed.

    Closing alone would leave the lock to a child that was forked meanwhile, and which shares it. The caller closes
    the descriptor in a `finally` of its own: an interrupt may come at the start of this function.
    """
    with suppress(OSError, ImportError):  # the file system has no locks, or nothing could be locked
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def close_shared(descriptor: int) -> None:
    """Close a descriptor without unlocking it: another process holds the same lock."""
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)


def pauses(deadline: float) -> Iterator[None]:
    """Yield at once, and then after pauses that grow, until the deadline has passed."""
    pause = FIRST_PAUSE
    yield
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
        yield


def locked(descriptor: int, deadline: float, doing: str, decide: Callable[[], T], *, nests: bool = True) -> T:
    """Call a function while a file is locked exclusively; the caller then closes the descriptor, in a `finally`.

    A signal handler or a finaliser may run in the middle of such a call, in the same thread, and call this for the
    same file. It must not wait for its own thread: both use the one lock.

    Args:
        descriptor: The open file.
        deadline: When to give up, by `time.monotonic`; the lock is tried once even if it has passed.
        doing: What is done, for messages.
        decide: What to call.
        nests: Whether `decide` may run in the middle of another call of this thread for the same file.

    Raises:
        DeadlineError: Another held the lock until the deadline, or this thread does and `decide` must not nest.
    """
    found = os.fstat(descriptor)
    mark = found.st_dev, found.st_ino, get_ident()
    outer = _locking.get(mark)
    if outer is not None:
        if not nests:
            raise deadline_error(f"{doing} in the middle of such a call in the same thread")
        # The outer call may have been interrupted before it had the lock: get it on the outer descriptor.
        _lock(outer, deadline, doing)
        return decide()
    try:
        _locking[mark] = descriptor
        _lock(descriptor, deadline, doing)
        return decide()
    finally:
        try:
            unlock(descriptor)  # an interrupt may prevent that; then closing the descriptor must do
        finally:
            _locking.pop(mark, None)


def exclusively(directory: Directory, deadline: float, doing: str, decide: Callable[[], T], *, nests: bool = True) -> T:
    """Call a function while the directory is locked exclusively; arguments and errors as of `locked`."""
    # No context manager: what it holds would stay locked where an interrupt comes at the start of its `__exit__`.
    descriptor = directory.opened_anew()
    try:
        return locked(descriptor, deadline, doing, decide, nests=nests)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, deadline: float, doing: str) -> None:
    for _ in pauses(deadline):
        if try_lock(descriptor) is not False:
            return
    raise deadline_error(doing)
