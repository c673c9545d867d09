"""When does an object in shared memory expire? At its modification time, by a clock that nobody sets."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from psk.connectors.file.clock import ServerClock
from psk.connectors.file.objects import CLAIM_SUFFIX, can_expire, has_expired
from psk.connectors.file.writing import EXPIRING_MODE
from psk.connectors.shm.locks import exclusively

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory

SEGMENT_MODE: Final = 0o700
"""The mode of an object that stays: not the one that says that it expires, and one that lets its owner use the
segment again. Nothing is ever executed there."""

CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


class BootClock(ServerClock):
    """Give the time since this host was started, its sleep included: the same for all its processes."""

    __slots__ = ()

    def now(self, directory: Directory) -> int:  # noqa: ARG002  one clock for all directories
        """Return nanoseconds since the start."""
        return time.clock_gettime_ns(CLOCK)

    def after(self, directory: Directory, seconds: float) -> int:
        """Return the time some seconds from now, in nanoseconds."""
        return self.now(directory) + int(seconds * 1e9)


BOOT_CLOCK: Final = BootClock()


def set_expiry(descriptor: int, expires: int | None) -> None:
    """Write down when an object expires, None for never; at no instant does it look expired because of it."""
    if expires is None:
        os.fchmod(descriptor, SEGMENT_MODE)
    else:
        os.utime(descriptor, ns=(expires, expires))
        os.fchmod(descriptor, EXPIRING_MODE)


def remove_expired(directory: Directory, name: str, deadline: float) -> bool:
    """Remove an object if it has expired; tell whether its name is free.

    Decided together with renewals, so that one that succeeded is never undone. Its memory is not used again: it
    goes with the last reader.
    """
    with exclusively(directory, deadline, f"removing {name}"):
        try:
            found = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if not has_expired(directory, found, BOOT_CLOCK):
            return False
        directory.remove(name)
        directory.remove(name + CLAIM_SUFFIX)
        return True


def reap_object(directory: Directory, name: str, deadline: float) -> float | None:
    """Remove an object if it has expired; return in how many seconds it will, None if it is gone or stays."""
    if remove_expired(directory, name, deadline):
        return None
    try:
        found = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return max(found.st_mtime_ns - BOOT_CLOCK.now(directory), 0) / 1e9 if can_expire(found) else None
