"""Tell whether a session is alive: as long as a process holds its directory's lock, which the kernel takes back.

Every session is a directory, and the processes that it lives by hold that directory's lock shared: the one owner of a
process's session, each process that uses a named one. A process that gets the lock exclusively knows that the session
is dead, and sets it aside: a sweep and a guest do the same. Guests hold the lock of a file in it, so that the owner
does not remove what they use.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from typing import Final

from psk.connectors import deadline_error
from psk.connectors.directory.directory import NO_FOLLOW, READ, READ_DIRECTORY, absolute
from psk.connectors.directory.locks import pauses, try_lock
from psk.connectors.reaper import REAPER
from psk.errors import ChannelUnavailableError, PskError

ROOT: Final = absolute(os.environ.get("PSK_SHM_ROOT") or "/dev/shm")  # noqa: S108  every session makes a private directory in it
"""The default directory of sessions: where Linux has its shared memory."""

GUESTS: Final = "alive"
"""The file whose lock guests hold, which also says that a directory is a session: no other is ever removed."""

_PATIENCE: Final = 5.0
_DIRECTORY: Final = READ_DIRECTORY | NO_FOLLOW
_DEAD: Final = "!"  # begins no name of a session


def session_path(root: str, name: str) -> str:
    """Return the directory of a session of this user."""
    return f"{root.rstrip('/')}/psk-{os.geteuid()}-{name}"


def hold(path: str, *, create: bool) -> int:
    """Hold the lock of a session's directory, or of the file of its guests, shared; return the descriptor.

    Args:
        path: The directory or file.
        create: Whether to make the session if it is missing.

    Raises:
        ChannelUnavailableError: It belongs to another user.
        OSError: It cannot be made, or is missing.
    """
    for _ in pauses(time.monotonic() + _PATIENCE):
        if create:
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)  # noqa: PTH102  pathlib costs 10 ms of import
        try:
            descriptor = os.open(path, READ)
        except FileNotFoundError:
            if not create:
                raise
            continue
        try:
            check_private(descriptor, path)
            # A sweep that comes between making and locking finds a session that nobody holds and removes it. So the
            # path is looked at again under the lock.
            if try_lock(descriptor, shared=True) and is_still_there(descriptor, path):
                if create:
                    with suppress(FileExistsError):
                        os.mknod(f"{path}/{GUESTS}", 0o600)
                held, descriptor = descriptor, -1
                return held
        except FileNotFoundError:  # removed by another process at this instant
            continue
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    raise deadline_error(f"entering the session {path}")


def has_guests(path: str) -> bool:
    """Tell whether any other process uses a session of this process, or may for all that can be found out."""
    try:
        descriptor = os.open(f"{path}/{GUESTS}", READ)
    except OSError as error:
        return error.errno != errno.ENOENT
    try:
        return not try_lock(descriptor)
    finally:
        os.close(descriptor)


def is_still_there(descriptor: int, path: str) -> bool:
    """Tell whether a path still means an open directory."""
    try:
        named = os.stat(path, follow_symlinks=False)  # noqa: PTH116  pathlib costs 10 ms of import
    except FileNotFoundError:
        return False
    return named.st_ino == os.fstat(descriptor).st_ino


def check_private(descriptor: int, path: str) -> None:
    """Make sure that what was opened belongs to this user, and that no other may access it.

    Raises:
        ChannelUnavailableError: It does not, or another may.
    """
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and not found.st_mode & 0o077:
        return
    raise ChannelUnavailableError(
        f"{path!a} is not private to this user",
        found=[f"owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):o}"],
        remedy="remove it, or use a session with another name",
    )


def sweep(root: str = ROOT) -> int:
    """Remove the sessions of this user whose processes are dead; live ones are not touched.

    Opening any shm store does the same, in the background, and so do the guests of a session whose owner died. This is
    for what a power cut or a killed program left where no psk runs any more.

    Args:
        root: Where sessions are.

    Returns:
        How many sessions were removed.
    """
    return sum(map(remove_tree, _dead_sessions(root)))


def is_alive(name: str, root: str = ROOT) -> bool:
    """Tell whether a session of this user is alive, after removing those of dead processes."""
    sweep(root)
    return os.path.isdir(session_path(root, name))  # noqa: PTH112  pathlib costs 10 ms of import


def sweep_later(root: str) -> None:
    """Make dead sessions unreachable now, which is one step each, and free their memory in the background."""
    REMOVALS.add(_dead_sessions(root))


def set_aside(path: str) -> str | None:
    """Rename a session that nobody holds any more, so that nobody finds it.

    Returns:
        The directory that is now to be removed, empty if it is gone already; None if the session is alive.
    """
    try:
        descriptor = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return ""
    try:
        check_private(descriptor, path)
        if not try_lock(descriptor):
            return None
        # With the lock held nobody can enter: a process that has it open will find that it has no name.
        if not is_still_there(descriptor, path):
            return ""
        names = os.listdir(descriptor)  # noqa: PTH208  pathlib knows no descriptors
        if names and GUESTS not in names:
            return None  # something else that happens to have such a name
        root, _, name = path.rpartition("/")
        if f"/{name}".startswith(session_path("", _DEAD)):
            return path  # it was set aside before, by a process that was killed as it removed it
        aside = session_path(root, _DEAD + os.urandom(8).hex())
        os.rename(path, aside)  # noqa: PTH104  pathlib costs 10 ms of import
        return aside
    finally:
        os.close(descriptor)


def remove_tree(path: str) -> bool:
    """Remove a directory with all that is in it; False if another process keeps putting files into it."""
    for _ in range(10):
        try:
            _remove(path, None)
        except FileNotFoundError:
            return True
        except OSError:
            time.sleep(0.001)  # a guest of the dead session has just put an object: the next round removes it
        else:
            return True
    return False


class Removals:
    """Dead sessions whose memory is still to be freed, by the background thread."""

    __slots__ = ("__weakref__", "_paths")

    def __init__(self) -> None:
        self._paths: list[str] = []

    def add(self, paths: list[str]) -> None:
        """Remove directories soon."""
        if paths:
            self._paths += paths
            REAPER.watch(self, time.monotonic())

    def reap(self) -> None:
        """Remove them; called by the background thread, and at the end of the process."""
        while paths := list(self._paths):
            for path in paths:
                # Kept in the list until it is gone: at the end of the process the background thread does not go on.
                remove_tree(path)
                with suppress(ValueError):
                    self._paths.remove(path)


REMOVALS: Final = Removals()


def _dead_sessions(root: str) -> list[str]:
    """Set aside all dead sessions; return their directories."""
    prefix = session_path("", "")[1:]
    dead = []
    try:
        names = os.listdir(root)  # noqa: PTH208  pathlib costs 10 ms of import
    except OSError:
        return []
    for name in names:
        if name.startswith(prefix):
            # What is not a session, or not ours alone, is not ours to remove.
            with suppress(OSError, PskError):
                if path := set_aside(f"{root}/{name}"):
                    dead.append(path)
    return dead


def _remove(name: str, parent: int | None) -> None:
    descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        with os.scandir(descriptor) as entries:
            # The mark goes last: if this process is killed in between, the rest is still known as a session.
            for entry in sorted(entries, key=lambda entry: entry.name == GUESTS):
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        _remove(entry.name, descriptor)
                    else:
                        os.unlink(entry.name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    os.rmdir(name, dir_fd=parent)
