"""Who may change a file's name or claim? Who holds its lock, which the kernel takes back from the dead."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import Final

from psk.connectors.deadline import deadline_error

FIRST_PAUSE: Final = 0.0005
LONGEST_PAUSE: Final = 0.02

# A network file system without locks, or one that locks only descriptors open for writing.
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL})


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


def unlock(descriptor: int) -> None:
    """Unlock a file: a child forked meanwhile holds the same lock, which closing alone would leave to it."""
    import fcntl

    with suppress(OSError):  # the file system has no locks
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def close_locked(descriptor: int) -> None:
    """Unlock and close."""
    unlock(descriptor)
    os.close(descriptor)
