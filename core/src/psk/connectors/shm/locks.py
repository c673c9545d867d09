"""Who uses a segment, a space or a session? The kernel knows: its locks go with the process that held them."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from psk.connectors.file.directory import open_in
from psk.connectors.file.locks import FIRST_PAUSE, LONGEST_PAUSE, locked, try_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psk.connectors.file.directory import Directory

T = TypeVar("T")
__all__ = ["FIRST_PAUSE", "LONGEST_PAUSE", "exclusively", "share_nothing", "try_lock", "try_share", "unlock"]

_DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


def try_share(descriptor: int) -> bool:
    """Share a file's lock with other readers; False if a writer has it."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share_nothing(descriptor: int) -> None:
    """Close an inherited descriptor without unlocking: its lock belongs to the parent too."""
    if descriptor >= 0:
        with suppress(OSError):
            os.close(descriptor)


def exclusively(directory: Directory, deadline: float, doing: str, decide: Callable[[], T], *, nests: bool = True) -> T:
    """Call a function, the only one meanwhile that decides about names, claims and expiry in a space.

    An object's own lock cannot serve for that, since every reader who maps the object holds it. Opened anew each
    time, because threads that shared a descriptor would share its lock. Arguments and errors as of `locked`.
    """
    # No context manager: what it holds would stay locked where an interrupt comes at the start of its `__exit__`.
    descriptor = open_in(directory, ".", _DIRECTORY)
    try:
        return locked(descriptor, deadline, doing, decide, nests=nests)
    finally:
        os.close(descriptor)


def pauses(deadline: float) -> Iterator[float]:
    """Sleep between attempts, longer each time, until the deadline; yields the seconds that were left."""
    pause = FIRST_PAUSE / 10
    while (left := deadline - time.monotonic()) > 0:
        yield left
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
