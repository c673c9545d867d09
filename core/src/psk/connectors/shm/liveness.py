"""Is a session alive? As long as some process holds its directory's lock, which the kernel takes from the dead.

Every session is a directory, and whoever it lives by holds that directory's lock shared: the one owner of a
process's session, each process that uses a named one. Who gets the lock exclusively knows that it is dead. The
owner also holds the writing end of a FIFO in it; guests poll the reading end, and so hear at once when it ends.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from typing import Final

from psk.connectors.arguments import deadline_error
from psk.connectors.shm.locks import pauses, try_lock, try_share
from psk.errors import ChannelUnavailableError

PULSE: Final = "alive"
_PATIENCE: Final = 5.0
_DIRECTORY: Final = (
    os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)
_FIFO: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def hold(path: str, *, create: bool) -> int:
    """Hold a session's lock, shared; return the descriptor.

    A sweeper who comes between making and locking finds a session without holder and removes it. So the directory
    is looked at again under the lock, as often as necessary.

    Args:
        path: The session's directory.
        create: Whether to make it if it is missing.

    Raises:
        ChannelUnavailableError: The directory belongs to another user.
        OSError: It cannot be made, or is missing.
    """
    for _ in pauses(time.monotonic() + _PATIENCE):
        if create:
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102  pathlib costs 10 ms of import
        try:
            descriptor = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            if not create:
                raise
            continue
        try:
            check_private(descriptor, path)
            if try_share(descriptor) and is_still_there(descriptor, path):
                held, descriptor = descriptor, -1
                return held
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    raise deadline_error(f"entering the session {path}")


def mark(path: str) -> None:
    """Make the FIFO that says that a directory is a session: no other is ever swept."""
    with suppress(FileExistsError):
        os.mkfifo(f"{path}/{PULSE}", 0o600)


def begin_pulse(path: str) -> int:
    """Make the FIFO by which guests hear of the owner's end; return its writing end."""
    place = f"{path}/{PULSE}"
    mark(path)
    # The writing end cannot be opened before there is a reader; later readers are guests, and only they.
    reader = os.open(place, os.O_RDONLY | _FIFO)
    try:
        return os.open(place, os.O_WRONLY | _FIFO)
    finally:
        os.close(reader)


def feel_pulse(path: str) -> int | None:
    """Return the reading end of a session's FIFO, on which its owner's end is heard; None if it has ended."""
    try:
        descriptor = os.open(f"{path}/{PULSE}", os.O_RDONLY | _FIFO)
    except FileNotFoundError:
        return None
    try:
        check_private(descriptor, path, kind=stat.S_IFIFO)
        if not has_ended(descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def has_ended(pulse: int) -> bool:
    """Tell whether the owner at the other end of a FIFO is gone."""
    try:
        os.read(pulse, 1)  # nothing is ever written: what can be read is the end of the file, and of the owner
    except BlockingIOError:
        return False
    return True


def has_guests(path: str) -> bool:
    """Tell whether any other process listens to the session's FIFO, or may for all that can be found out."""
    try:
        os.close(os.open(f"{path}/{PULSE}", os.O_WRONLY | _FIFO))
    except OSError as error:
        return error.errno not in {errno.ENXIO, errno.ENOENT}
    return True


def is_still_there(descriptor: int, path: str) -> bool:
    """Tell whether a path still means an open directory."""
    try:
        named = os.stat(path, follow_symlinks=False)  # noqa: PTH116  pathlib costs 10 ms of import
    except FileNotFoundError:
        return False
    return named.st_ino == os.fstat(descriptor).st_ino


def check_private(descriptor: int, path: str, kind: int = stat.S_IFDIR) -> None:
    """Make sure that nobody else made, or may write to, what was opened.

    Raises:
        ChannelUnavailableError: Somebody did, or may.
    """
    found = os.fstat(descriptor)
    if stat.S_IFMT(found.st_mode) == kind and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return
    raise ChannelUnavailableError(
        f"{path!a} is not this user's alone",
        found=[f"owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}"],
        remedy="remove it, or use a session with another name",
    )


def remove_if_dead(path: str) -> bool | None:
    """Remove a session that nobody holds any more; None if it is gone already, False if it stays.

    A directory that is neither empty nor marked is something else that happens to have such a name.
    """
    try:
        descriptor = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        check_private(descriptor, path)
        if not try_lock(descriptor):
            return False
        # With the lock held nobody can enter: who opened the directory before will find that it has no name.
        if not is_still_there(descriptor, path):
            return None
        names = os.listdir(descriptor)  # noqa: PTH208  pathlib knows no descriptors
        return (not names or PULSE in names) and remove_tree(path)
    finally:
        os.close(descriptor)


def remove_tree(path: str) -> bool:
    """Remove a directory with all that is in it; False if somebody keeps putting things in."""
    for _ in range(10):
        try:
            _remove(path, None)
        except FileNotFoundError:
            return True
        except OSError:
            time.sleep(0.001)  # a guest of the dead session has just put an object: the next round takes it
        else:
            return True
    return False


def _remove(name: str, parent: int | None) -> None:
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        with os.scandir(descriptor) as entries:
            # The mark goes last: who is killed in between leaves something that is still known as a session.
            for entry in sorted(entries, key=lambda entry: entry.name == PULSE):
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        _remove(entry.name, descriptor)
                    else:
                        os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=parent)
