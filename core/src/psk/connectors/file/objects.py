"""What stands under a name? An object, an expired one, nothing, or what does not belong there."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from psk.connectors.file.directory import open_in
from psk.connectors.file.expiry import (
    NEVER,
    find_record,
    has_room_for_record,
    payload_size,
    record_offset,
    write_record,
)
from psk.connectors.file.locks import locked, try_lock, unlock
from psk.connectors.file.mark import mark_expiring
from psk.connectors.file.writing import RENEWABLE_MODE
from psk.errors import ChannelDataError

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory
    from psk.connectors.file.expiry import Clock

CLAIM_SUFFIX: Final = ".claim"

# Never through a link, never waiting for the other end of a FIFO.
_CAREFUL: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_READ: Final = os.O_RDONLY | _CAREFUL
_CHANGE: Final = os.O_RDWR | _CAREFUL
_PLANTED: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP})


def open_object(directory: Directory, name: str, flags: int = _READ) -> tuple[int, os.stat_result] | None:
    """Open the regular file under a name; return its descriptor and what fstat says, or None if missing.

    Raises:
        ChannelDataError: A link, a FIFO, a directory or another user's file stands there.
    """
    try:
        descriptor = open_in(directory, name, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _PLANTED:
            raise _foreign(directory, name, "a link, socket or device") from error
        raise
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and (found.st_uid == directory.owner or found.st_uid == os.geteuid()):
            return descriptor, found
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    is_file = stat.S_ISREG(found.st_mode)
    what = f"a file of user {found.st_uid}" if is_file else "a directory, FIFO or device"
    raise _foreign(directory, name, what)


def open_to_renew(directory: Directory, name: str) -> tuple[int, os.stat_result] | None:
    """Open an object so that its expiry can be written; returns and errors as of `open_object`."""
    try:
        return open_object(directory, name, _CHANGE)
    except PermissionError:
        opened = open_object(directory, name)
    if opened is not None:
        try:
            os.fchmod(opened[0], RENEWABLE_MODE)
        finally:
            os.close(opened[0])
    return open_object(directory, name, _CHANGE)


def has_expired(directory: Directory, descriptor: int, size: int, clock: Clock) -> bool:
    """Tell whether the time of an open object of so many bytes has come."""
    if not has_room_for_record(size):
        return False
    expires = find_record(descriptor, size, clock.kind)[1]
    return expires != NEVER and clock.now(directory) >= expires


def is_present(directory: Directory, name: str, clock: Clock) -> bool:
    """Tell whether an unexpired object stands under a name."""
    opened = open_object(directory, name)
    if opened is None:
        return False
    descriptor, found = opened
    try:
        return not has_expired(directory, descriptor, found.st_size, clock)
    finally:
        os.close(descriptor)


def remove(directory: Directory, name: str, deadline: float) -> bool:
    """Remove an object and then its claim; tell whether it was there.

    Who removes an expired object must not meet one that was put anew in between: so one that may expire is removed
    under its lock.

    Raises:
        DeadlineError: Another held the lock until the deadline.
    """
    descriptor = _opened_to_remove(directory, name)
    if descriptor < 0:
        return remove_both(directory, name)

    def remove_this() -> bool:
        # Without its name it went while this call waited.
        return not is_named(directory, name, descriptor) or remove_both(directory, name)

    try:
        return locked(descriptor, deadline, f"removing {name}", remove_this)
    finally:
        os.close(descriptor)


def _opened_to_remove(directory: Directory, name: str) -> int:
    """Open an object that may expire; -1 for all else."""
    try:
        found = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
        if has_room_for_record(found.st_size) and stat.S_ISREG(found.st_mode):
            return os.open(name, _READ, dir_fd=directory.descriptor)
    except (FileNotFoundError, PermissionError):
        pass  # what cannot be read can be removed
    return -1


def remove_both(directory: Directory, name: str) -> bool:
    """Remove an object and then its claim, so that no claim is without an object for long."""
    there = directory.remove(name)
    directory.remove(name + CLAIM_SUFFIX)
    return there


def remove_expired(directory: Directory, name: str, clock: Clock) -> int | None:
    """Remove an object if it has expired; return its time, which may be `NEVER`, or None if it is gone.

    Done under the file's lock, so that a renewal that succeeded is never undone.
    """
    opened = open_object(directory, name)
    if opened is None:
        return None
    descriptor, found = opened
    try:
        ours = try_lock(descriptor)
        expires = find_record(descriptor, found.st_size, clock.kind)[1]
        if expires == NEVER or clock.now(directory) < expires or ours is False:
            return expires
        if not is_named(directory, name, descriptor):
            return expires
        remove_both(directory, name)
        return None
    finally:
        try:
            unlock(descriptor)
        finally:
            os.close(descriptor)


def reap_object(directory: Directory, name: str, clock: Clock) -> float | None:
    """Remove an object if it has expired; return in how many seconds it will, None if it is gone or stays."""
    expires = remove_expired(directory, name, clock)
    if expires is None or expires == NEVER:
        return None
    return max(expires - clock.now(directory), 0) / 1e9


def renew(directory: Directory, name: str, ttl: float | None, clock: Clock, deadline: float) -> bool:
    """Let an object expire `ttl` seconds from now by the file server's time, or never; False if gone."""
    opened = open_to_renew(directory, name)
    if opened is None:
        return False
    descriptor = opened[0]

    def change() -> bool:
        size = os.fstat(descriptor).st_size
        nbytes, expires = find_record(descriptor, size, clock.kind)
        if not is_named(directory, name, descriptor) or (expires != NEVER and clock.now(directory) >= expires):
            return False
        if nbytes == size and payload_size(descriptor) != size:
            raise _foreign(directory, name, f"{size} bytes that are no whole payload")
        if ttl is not None:
            mark_expiring(directory)
        if ttl is not None or nbytes != size:
            expires = NEVER if ttl is None else clock.after(directory, ttl)
            write_record(descriptor, record_offset(nbytes), clock.kind, expires)
        if ttl is not None:
            mark_expiring(directory)  # again: it may have been taken away just before the record was there
        return True

    try:
        return locked(descriptor, deadline, f"renewing {name}", change)
    finally:
        os.close(descriptor)


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
    return payload_size(descriptor) is not None


def _foreign(directory: Directory, name: str, what: str) -> ChannelDataError:
    return ChannelDataError(
        f"what stands under {name} in {directory.path!a} is no object of psk",
        found=[what],
        remedy="remove it, and see who else may write there",
    )
