"""Who may change a file's name or claim? Who holds its lock, which the kernel takes back from the dead."""

from __future__ import annotations

import errno
import os
import time
from _thread import get_ident
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from psk.connectors.arguments import deadline_error

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRST_PAUSE: Final = 0.0005
LONGEST_PAUSE: Final = 0.02

# A network file system without locks, or one that locks only descriptors open for writing.
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL})

# Device and inode of a file, and the thread that locks it -> the descriptor on which it does.
_locking: dict[tuple[int, int, int], int] = {}


def try_lock(descriptor: int) -> bool | None:
    """Lock a file if nobody holds it.

    Returns:
        True if it is ours now, False if another holds it, None if the file system has no locks.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def lock(descriptor: int, deadline: float, doing: str) -> bool | None:
    """Lock a file, waiting for other holders; True if it is ours, None if the file system has no locks.

    Raises:
        DeadlineError: Another held it until the deadline.
    """
    pause = FIRST_PAUSE
    while (ours := try_lock(descriptor)) is False:
        left = deadline - time.monotonic()
        if left <= 0:
            raise deadline_error(doing)
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
    return ours


def locked(descriptor: int, deadline: float, doing: str, decide: Callable[[], T], *, nests: bool = True) -> T:
    """Call a function while an open file is locked; the caller closes the descriptor afterwards, in a `finally`.

    A thread that is at it already, and in which a signal handler or a finaliser came in between, does not wait for
    itself: its one lock serves for both.

    Args:
        descriptor: The open file.
        deadline: When to give up, by `time.monotonic`.
        doing: What is done, for messages.
        decide: What to call.
        nests: Whether it may be called in the middle of another call of this thread's for the same file.

    Raises:
        DeadlineError: Another held the lock until the deadline, or this thread does and `decide` must not nest.
    """
    found = os.fstat(descriptor)
    mark = found.st_dev, found.st_ino, get_ident()
    outer = _locking.get(mark)
    if outer is not None:
        if not nests:
            raise deadline_error(f"{doing} in the middle of such a call in the same thread")
        # Whether that one has the lock already or not: now it has.
        lock(outer, deadline, doing)
        return decide()
    try:
        _locking[mark] = descriptor
        lock(descriptor, deadline, doing)
        return decide()
    finally:
        try:
            unlock(descriptor)  # an interrupt may keep it from that; then closing must do
        finally:
            _locking.pop(mark, None)


def unlock(descriptor: int) -> None:
    """Unlock a file: a child forked meanwhile holds the same lock, which closing alone would leave to it.

    Where it is closed next, that is in a `finally` of its own: an interrupt may come at the start of this function.
    """
    with suppress(OSError, ImportError):  # the file system has no locks, or nothing could be locked
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
