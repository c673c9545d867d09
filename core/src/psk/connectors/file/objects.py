"""What stands under a name? An object, an expired one, nothing, or what does not belong there."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from psk.connectors.file.locks import close_locked, lock, try_lock
from psk.connectors.file.writing import EXPIRING_MODE, MODE_BITS, PERMANENT_MODE
from psk.errors import ChannelDataError

if TYPE_CHECKING:
    from psk.connectors.file.clock import ServerClock
    from psk.connectors.file.directory import Directory

MAGIC: Final = b"\x93PSK"
CLAIM_SUFFIX: Final = ".claim"

# Never through a link, never waiting for the other end of a FIFO.
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_PLANTED: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP})


def open_object(directory: Directory, name: str) -> tuple[int, os.stat_result] | None:
    """Open the regular file under a name; return its descriptor and what fstat says, or None if missing.

    Raises:
        ChannelDataError: A link, a FIFO, a directory or another user's file stands there.
    """
    try:
        descriptor = os.open(name, _READ, dir_fd=directory.descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _PLANTED:
            raise _foreign(directory, name, "a link, socket or device") from error
        raise
    try:
        found = os.fstat(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    if stat.S_ISREG(found.st_mode) and (found.st_uid == directory.owner or found.st_uid == os.geteuid()):
        return descriptor, found
    os.close(descriptor)
    is_file = stat.S_ISREG(found.st_mode)
    what = f"a file of user {found.st_uid}" if is_file else "a directory, FIFO or device"
    raise _foreign(directory, name, what)


def can_expire(found: os.stat_result) -> bool:
    """Tell whether this file's mode says that it expires at its modification time."""
    return found.st_mode & MODE_BITS == EXPIRING_MODE


def has_expired(directory: Directory, found: os.stat_result, clock: ServerClock) -> bool:
    """Tell whether a file's time has come."""
    return can_expire(found) and clock.now(directory) >= found.st_mtime_ns


def is_present(directory: Directory, name: str, clock: ServerClock) -> bool:
    """Tell whether an unexpired object stands under a name."""
    opened = open_object(directory, name)
    if opened is None:
        return False
    os.close(opened[0])
    return not has_expired(directory, opened[1], clock)


def remove(directory: Directory, name: str) -> bool:
    """Remove an object and then its claim, so that no claim is without an object for long."""
    there = directory.remove(name)
    directory.remove(name + CLAIM_SUFFIX)
    return there


def remove_expired(directory: Directory, name: str, clock: ServerClock) -> bool:
    """Remove an object if it has expired; tell whether it is gone.

    Done under the file's lock, so that a renewal that succeeded is never undone, and only to files that begin
    as psk's do: a user's own file that happens to look expired stays.
    """
    opened = open_object(directory, name)
    if opened is None:
        return True
    descriptor = opened[0]
    try:
        if try_lock(descriptor) is False:
            return False
        if not (is_named(directory, name, descriptor) and is_object(descriptor)):
            return False
        if not has_expired(directory, os.fstat(descriptor), clock):
            return False
        remove(directory, name)
        return True
    finally:
        close_locked(descriptor)


def reap_object(directory: Directory, name: str, clock: ServerClock) -> float | None:
    """Remove an object if it has expired; return in how many seconds it will, None if it is gone or stays."""
    if remove_expired(directory, name, clock):
        return None
    try:
        found = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return max(found.st_mtime_ns - clock.now(directory), 0) / 1e9 if can_expire(found) else None


def renew(directory: Directory, name: str, ttl: float | None, clock: ServerClock, deadline: float) -> bool:
    """Let an object expire `ttl` seconds from now by the file server's time, or never; False if gone."""
    expires = None if ttl is None else clock.after(directory, ttl)
    opened = open_object(directory, name)
    if opened is None:
        return False
    descriptor = opened[0]
    try:
        lock(descriptor, deadline, f"renewing {name}")
        if not is_named(directory, name, descriptor) or has_expired(directory, os.fstat(descriptor), clock):
            return False
        set_expiry(descriptor, expires)
        return True
    finally:
        close_locked(descriptor)


def set_expiry(descriptor: int, expires: int | None) -> None:
    """Write down when a file expires; at no instant does it look expired because of it."""
    if expires is None:
        os.fchmod(descriptor, PERMANENT_MODE)
        return
    os.utime(descriptor, ns=(expires, expires))
    os.fchmod(descriptor, EXPIRING_MODE)


def is_named(directory: Directory, name: str, descriptor: int) -> bool:
    """Tell whether a name still refers to an open file."""
    try:
        named = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    own = os.fstat(descriptor)
    return (named.st_ino, named.st_dev) == (own.st_ino, own.st_dev)


def is_object(descriptor: int) -> bool:
    """Tell whether a file begins as a payload does."""
    return os.pread(descriptor, len(MAGIC), 0) == MAGIC


def _foreign(directory: Directory, name: str, what: str) -> ChannelDataError:
    return ChannelDataError(
        f"what stands under {name} in {directory.path!a} is no object of psk",
        found=[what],
        remedy="remove it, and see who else may write there",
    )
